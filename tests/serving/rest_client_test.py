"""What only REST does; clients_test.py holds what both clients do."""

import contextlib
import http.server
import threading

import numpy as np
import pytest
import tensorflow as tf

from keras_mvlift.serving import clients, rest_client
from tests.export import served_views
from tests.serving import stand_in


def test_records_are_sent_as_the_bytes_they_are(folder):
    (request,) = [
        each
        for each in served_views.requests_in(folder)
        if each.model_spec.signature_name == "serving_examples"
        and each.inputs["examples"].tensor_shape.dim[0].size == 64
    ]
    records = tf.make_ndarray(request.inputs["examples"])
    lift = tf.saved_model.load(str(folder)).signatures["serving_examples"]
    expected = lift(examples=tf.constant(records))["root_relative_pose"]
    with stand_in.serving({1: folder}) as (_, found):
        client = rest_client.RestClient(clients.parse(found["http"]))
        answer = client.predict("serving_examples", {"examples": records})
    np.testing.assert_allclose(answer["root_relative_pose"], expected, atol=1e-4)


@contextlib.contextmanager
def answering(status, body):
    """Serves one answer to whatever is asked, as a proxy may that has lost its server."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.send_header("Location", "http://127.0.0.1:1/")
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        yield rest_client.RestClient(clients.parse(f"http://127.0.0.1:{server.server_port}"), 2.0)
        server.shutdown()


@pytest.mark.parametrize(
    ("status", "body", "code", "said"),
    [
        (502, b"<html>Bad Gateway</html>", "UNAVAILABLE", "HTTP 502 without JSON"),
        (200, b"<html>Welcome</html>", "INTERNAL", "HTTP 200 without JSON"),
        (301, b"", "INTERNAL", "HTTP 301 without JSON"),
        (200, b"[1]", "INTERNAL", "an answer without `model_version_status`"),
        (403, b'{"error": "not you"}', "INTERNAL", "not you"),
        (403, b'"no"', "INTERNAL", "no"),
    ],
)
def test_an_answer_of_something_else_is_said(status, body, code, said):
    with answering(status, body) as client:
        with pytest.raises(clients.ServerError) as caught:
            client.versions()
    assert (caught.value.code, caught.value.detail) == (code, said)


def test_certificates_of_https_are_asked_for(folder):
    with stand_in.serving({1: folder}) as (_, found):
        address = clients.parse(found["http"].replace("http", "https"))
        with pytest.raises(clients.ServerError, match="SSL"):
            rest_client.RestClient(address, 2.0).versions()
