#!/bin/sh
# Puts a headless Chromium into output/browser, for the tests of pages, and axe-core, which looks for
# what keeps people out of them, into output/axe. Needs npm and node.
# Writes nothing outside the checkout; what is there already stays.
set -eu
cd "$(dirname "$0")/.."

# Its binary for machines without a desktop, which brings the libraries that those lack.
PACKAGE=@sparticuz/chromium
VERSION=131.0.1
SHA256=42004ef1ad2ac2179c1281e29dc0557a9419c60724bba9267da94b414625e85e
AXE=axe-core
AXE_VERSION=4.10.3
AXE_SHA256=0f2b4d7dcdf7d1219df8d1959ad68e565f51d14c3f0d88bb71cd59abeb956292
folder=output/browser
axe=output/axe/axe.min.js
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

# Fetches package $1 of version $2, whose digest is $3, and unpacks it.
fetch() {
  rm -rf $partial/package $partial/*.tgz
  (cd $partial && npm pack --silent --fetch-retries=1 "$1@$2" > /dev/null) || stop "npm could not fetch $1 $2."
  mv $partial/*.tgz $partial/package.tgz
  echo "$3  $partial/package.tgz" | sha256sum --check --status || stop "what npm fetched is not the pinned $1 $2."
  tar xzf $partial/package.tgz -C $partial
}

[ ! -x $folder/chromium ] || [ ! -f $axe ] || exit 0
[ "$(uname -sm)" = "Linux x86_64" ] || stop "the pinned Chromium is for Linux on x86_64."
for tool in npm node tar sha256sum; do
  command -v $tool > /dev/null || stop "no $tool found."
done

trap 'rm -rf "$partial"' EXIT
mkdir -p $partial/done
export npm_config_cache="$PWD/$partial/npm" npm_config_update_notifier=false
if [ ! -f $axe ]; then
  fetch $AXE $AXE_VERSION $AXE_SHA256
  mkdir -p output/axe
  mv $partial/package/axe.min.js $axe
fi
[ ! -x $folder/chromium ] || exit 0
fetch $PACKAGE $VERSION $SHA256
unpack $partial/package/bin/chromium.br $partial/done/chromium
unpack $partial/package/bin/al2023.tar.br $partial/lib.tar
tar xf $partial/lib.tar -C $partial/done
chmod +x $partial/done/chromium
rm -rf $folder
mv $partial/done $folder
