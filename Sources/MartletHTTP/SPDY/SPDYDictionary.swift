/// What SPDY/3 lets header blocks be compressed against (its section 2.6.10.1): names and values that are common.
enum SPDYDictionary {
    private static let counted = """
        options|head|post|put|delete|trace|accept|accept-charset|accept-encoding|accept-language|accept-ranges|age|\
        allow|authorization|cache-control|connection|content-base|content-encoding|content-language|content-length|\
        content-location|content-md5|content-range|content-type|date|etag|expect|expires|from|host|if-match|\
        if-modified-since|if-none-match|if-range|if-unmodified-since|last-modified|location|max-forwards|pragma|\
        proxy-authenticate|proxy-authorization|range|referer|retry-after|server|te|trailer|transfer-encoding|\
        upgrade|user-agent|vary|via|warning|www-authenticate|method|get|status|200 OK|version|HTTP/1.1|url|public|\
        set-cookie|keep-alive|origin
        """
    private static let plain = """
        100101201202205206300302303304305306307402405406407408409410411412413414415416417502504505203 \
        Non-Authoritative Information204 No Content301 Moved Permanently400 Bad Request401 Unauthorized403 \
        Forbidden404 Not Found500 Internal Server Error501 Not Implemented503 Service UnavailableJan Feb Mar Apr \
        May Jun Jul Aug Sept Oct Nov Dec 00:00:00 Mon, Tue, Wed, Thu, Fri, Sat, Sun, GMTchunked,text/html,\
        image/png,image/jpg,image/gif,application/xml,application/xhtml+xml,text/plain,text/javascript,publicprivate\
        max-age=gzip,deflate,sdchcharset=utf-8charset=iso-8859-1,utf-,*,enq=0.
        """

    /// The bytes: words with their lengths, then text.
    static let bytes: [UInt8] =
        counted.split(separator: "|").flatMap { [0, 0, 0, UInt8($0.utf8.count)] + Array($0.utf8) } + Array(plain.utf8)
}
