#include <zlib.h>

/// The macros of zlib.h, which Swift cannot call.
static inline int czlib_deflate_init(z_stream *stream, int level) { return deflateInit(stream, level); }
/// With a header and trailer of gzip (RFC 1952) about it.
static inline int czlib_deflate_init_gzip(z_stream *stream, int level) {
    return deflateInit2(stream, level, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY);
}
static inline int czlib_inflate_init(z_stream *stream) { return inflateInit(stream); }
