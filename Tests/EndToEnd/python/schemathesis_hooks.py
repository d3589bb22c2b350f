"""Watches and followed logs last as long as they are let: schemathesis would wait for them until its own time limit."""

import schemathesis


@schemathesis.hook
def before_call(context, case, kwargs):
    query = case.query
    if not query:
        return
    if "watch" in query:  # also without a value
        query["timeoutSeconds"] = 1
    query.pop("follow", None)
