#!/bin/sh
# Puts a headless Chromium into output/browser, for the tests of pages. Needs npm and node.
# Writes nothing outside the checkout; what is there already stays.
set -eu
cd "$(dirname "$0")/.."

# Its binary for machines without a desktop, which brings the libraries that those lack.
PACKAGE=@sparticuz/chromium
VERSION=131.0.1
SHA256=42004ef1ad2ac2179c1281e29dc0557a9419c60724bba9267da94b414625e85e
folder=output/browser
partial=$folder.partial.$$

stop() {
  echo "browser: $1" >&2
  exit 1
}

unpack() {
  node -e '
    const [fs, zlib] = [require("node:fs"), require("node:zlib")];
    const [from, to] = process.argv.slice(1);
    require("node:stream").pipeline(
      fs.createReadStream(from), zlib.createBrotliDecompress(), fs.createWriteStream(to),
      (error) => { if (error) throw error; });
  ' "$1" "$2"
}

[ ! -x $folder/chromium ] || exit 0
[ "$(uname -sm)" = "Linux x86_64" ] || stop "the pinned Chromium is for Linux on x86_64."
for tool in npm node tar sha256sum; do
  command -v $tool > /dev/null || stop "no $tool found."
done

trap 'rm -rf "$partial"' EXIT
mkdir -p $partial/done
export npm_config_cache="$PWD/$partial/npm" npm_config_update_notifier=false
(cd $partial && npm pack --silent --fetch-retries=1 $PACKAGE@$VERSION > /dev/null) \
  || stop "npm could not fetch $PACKAGE $VERSION."
mv $partial/*.tgz $partial/package.tgz
echo "$SHA256  $partial/package.tgz" | sha256sum --check --status || stop "what npm fetched is not the pinned $PACKAGE $VERSION."
tar xzf $partial/package.tgz -C $partial
unpack $partial/package/bin/chromium.br $partial/done/chromium
unpack $partial/package/bin/al2023.tar.br $partial/lib.tar
tar xf $partial/lib.tar -C $partial/done
chmod +x $partial/done/chromium
rm -rf $folder
mv $partial/done $folder
