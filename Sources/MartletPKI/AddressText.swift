#if canImport(Glibc)
internal import Glibc
#else
internal import Musl
#endif

/// IPv6 addresses have many texts; two are compared in the one that inet_ntop(3) writes.
enum AddressText {
    /// The shortest text of an IPv6 address, or nil when it is none.
    static func shortest(_ text: String) -> String? {
        var address = in6_addr()
        guard inet_pton(AF_INET6, text, &address) == 1 else { return nil }
        var buffer = [CChar](repeating: 0, count: Int(INET6_ADDRSTRLEN))
        guard inet_ntop(AF_INET6, &address, &buffer, socklen_t(buffer.count)) != nil else { return nil }
        return String(decoding: buffer.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }
}
