"""A gRPC server, and a client that calls it through the edge; both of PyPI's grpcio.

    grpcpair.py serve ADDRESS:PORT
    grpcpair.py call ADDRESS:PORT NAME CERTIFICATE
"""

import sys
import threading
from concurrent import futures

import grpc


def serve(where):
    def fail(request, context):
        context.abort(grpc.StatusCode.NOT_FOUND, "no such thing: ö %s" % request.decode())

    def count(request, context):
        for number in range(int(request)):
            yield b"%d" % number
        context.set_trailing_metadata((("x-count", "all"), ("x-bytes-bin", b"\0\1\2")))

    def each(requests, context):
        for request in requests:
            yield request.upper()

    def total(requests, context):
        return b"%d" % sum(len(r) for r in requests)

    def forever(request, context):
        ended = threading.Event()
        context.add_callback(ended.set)
        yield b"begun"
        ended.wait(60)
        gone.set()

    def gone_yet(request, context):
        return b"yes" if gone.wait(10) else b"no"

    gone = threading.Event()
    methods = {
        "Echo": grpc.unary_unary_rpc_method_handler(lambda r, c: r),
        "Fail": grpc.unary_unary_rpc_method_handler(fail),
        "Count": grpc.unary_stream_rpc_method_handler(count),
        "Each": grpc.stream_stream_rpc_method_handler(each),
        "Total": grpc.stream_unary_rpc_method_handler(total),
        "Forever": grpc.unary_stream_rpc_method_handler(forever),
        "Gone": grpc.unary_unary_rpc_method_handler(gone_yet),
    }
    server = grpc.server(futures.ThreadPoolExecutor(32))
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("t.T", methods),))
    assert server.add_insecure_port(where)
    server.start()
    print("serving", flush=True)
    server.wait_for_termination()


def call(where, name, certificate):
    credentials = grpc.ssl_channel_credentials(open(certificate, "rb").read())
    options = [("grpc.ssl_target_name_override", name), ("grpc.default_authority", name),
               ("grpc.max_receive_message_length", 1 << 26)]
    channel = grpc.secure_channel(where, credentials, options)
    echo = channel.unary_unary("/t.T/Echo")
    for size in (0, 1, 100_000, 3_000_000):
        assert echo(b"x" * size, timeout=20) == b"x" * size
    answers = [echo.future(b"%d" % n, timeout=20) for n in range(500)]
    assert [a.result() for a in answers] == [b"%d" % n for n in range(500)]
    print("unary calls: up to 3 MB, 500 at once")
    for path, code in (("Fail", grpc.StatusCode.NOT_FOUND), ("Unknown", grpc.StatusCode.UNIMPLEMENTED)):
        try:
            channel.unary_unary("/t.T/" + path)(b"a", timeout=20)
            raise AssertionError("%s did not fail" % path)
        except grpc.RpcError as error:
            assert error.code() == code, error
            assert path != "Fail" or error.details() == "no such thing: ö a", error.details()
    print("errors without a body keep their code and their words")
    stream = channel.unary_stream("/t.T/Count")(b"1000", timeout=20)
    assert [int(m) for m in stream] == list(range(1000))
    assert dict(stream.trailing_metadata()) == {"x-count": "all", "x-bytes-bin": b"\0\1\2"}
    print("a stream of 1000 answers, with its trailers")
    assert channel.stream_unary("/t.T/Total")((b"x" * 10_000 for _ in range(300)), timeout=20) == b"3000000"
    assert list(channel.stream_stream("/t.T/Each")(iter([b"a", b"b"]), timeout=20)) == [b"A", b"B"]
    print("streams of requests, and both ways")
    waiting = channel.unary_stream("/t.T/Forever")(b"", timeout=60)
    assert next(waiting) == b"begun"
    waiting.cancel()
    assert channel.unary_unary("/t.T/Gone")(b"", timeout=20) == b"yes"
    try:
        next(channel.unary_stream("/t.T/Forever")(b"", timeout=0.5)) and list(
            channel.unary_stream("/t.T/Forever")(b"", timeout=0.5))
        raise AssertionError("the deadline did not hold")
    except grpc.RpcError as error:
        assert error.code() == grpc.StatusCode.DEADLINE_EXCEEDED, error
    print("a call that is cancelled is heard at the server; deadlines hold")
    channel.close()


if sys.argv[1] == "serve":
    serve(sys.argv[2])
else:
    call(*sys.argv[2:])
