"""Watches and followed logs last as long as they are let: schemathesis would wait for them until its own time limit."""

import schemathesis


@schemathesis.hook
def before_call(context, case, kwargs):
    query = case.query
    if not query:
        return
    if query.get("watch") not in (None, "", "false", "0", False):
        query["timeoutSeconds"] = 1
    query.pop("follow", None)
