"""Serves the application of a Python file on a free port."""

import runpy
import sys

from werkzeug.serving import WSGIRequestHandler, make_server


class Quiet(WSGIRequestHandler):
    def log(self, *_):
        pass


app = runpy.run_path(sys.argv[1])["app"]
app.logger.disabled = True
server = make_server("127.0.0.1", 0, app, threaded=True, request_handler=Quiet)
print(f"listening on http://127.0.0.1:{server.port}", flush=True)
server.serve_forever()
