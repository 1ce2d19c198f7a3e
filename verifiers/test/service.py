"""A service that protects its routes with verifiers/python/postern.py."""

import os
import sys

import flask
from werkzeug.serving import WSGIRequestHandler, make_server

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "python"))
from postern import Verifier  # noqa: E402

app = flask.Flask(__name__)
common = {
    "issuer": os.environ["ISSUER"],
    "audience": "postern",
    "client_id": os.environ["CLIENT"],
    "client_secret": os.environ["SECRET"],
    "max_silence": float(os.environ["MAX_SILENCE"]),
}
verifiers = {
    "feed": Verifier(**common, follow="feed"),
    "status-list": Verifier(**common, follow="status-list"),
    "none": Verifier(**common, follow="none"),
    "open": Verifier(**common, follow="feed", fail_open=True),
}


def user():
    return flask.g.user


for name, verifier in verifiers.items():
    app.add_url_rule(f"/{name}", name, verifier.requires_token()(user))
    app.add_url_rule(f"/{name}/admin", f"{name}/admin", verifier.requires_token(role="admin")(user))


class Quiet(WSGIRequestHandler):
    protocol_version = "HTTP/1.1"

    def log(self, *_):
        pass


server = make_server("127.0.0.1", 0, app, threaded=True, request_handler=Quiet)
print(f"listening on http://127.0.0.1:{server.port}", flush=True)
server.serve_forever()
