public import ArgumentParser
public import Martlet
internal import MartletBase
internal import MartletIO

extension ClusterConfiguration.Overlay: ExpressibleByArgument {}
extension Logger.Level: @retroactive ExpressibleByArgument {}

/// An address with a port, or the word `none`.
public struct EndpointOrNone: Sendable, Hashable {
    /// Nil for `none`.
    public var endpoint: Endpoint?
}

/// Reading flags' values. Each throws a `ValidationError` that says what the value should be; the parser names the
/// flag.
public enum Flags {
    /// `address:port` or `[address]:port`.
    public static func endpoint(_ text: String) throws -> Endpoint {
        guard let colon = text.lastIndex(of: ":") else { throw ValidationError("\(text) is not ADDRESS:PORT") }
        let port = try port(String(text[text.index(after: colon)...]))
        let address = String(text[..<colon].filter { $0 != "[" && $0 != "]" })
        guard IPAddress(address) != nil || address == "localhost" else {
            throw ValidationError(
                "\(text) is not ADDRESS:PORT: \"\(address)\" is no address, as 10.0.0.1 or [fd00::1] is")
        }
        return .ip(address == "localhost" ? "127.0.0.1" : address, port: port)
    }

    /// As above, or `none`.
    public static func endpointOrNone(_ text: String) throws -> EndpointOrNone {
        EndpointOrNone(endpoint: text == "none" ? nil : try endpoint(text))
    }

    /// Where a DNS answers: an address with a port, or one alone for port 53; or `none`.
    public static func resolver(_ text: String) throws -> EndpointOrNone {
        IPAddress(text) != nil ? EndpointOrNone(endpoint: .ip(text, port: 53)) : try endpointOrNone(text)
    }

    /// An address that each machine may have for itself, or `none`.
    public static func linkLocalOrNone(_ text: String) throws -> String {
        guard text == "none" || IPAddress(text)?.isLinkLocal == true else {
            throw ValidationError("\(text) is no link-local address (169.254.0.0/16), which every worker could have")
        }
        return text
    }

    /// A port number.
    public static func port(_ text: String) throws -> UInt16 {
        guard let number = UInt16(text) else { throw ValidationError("\(text) is no port: a number from 0 to 65535") }
        return number
    }

    /// An address alone.
    public static func address(_ text: String) throws -> String {
        guard IPAddress(text) != nil else { throw ValidationError("\(text) is no address, as 10.0.0.1 or fd00::1 is") }
        return text
    }

    /// An address, or one of each kind with a comma between them.
    public static func addresses(_ text: String) throws -> String {
        let all = try text.split(separator: ",", omittingEmptySubsequences: false).map { try address(String($0)) }
        guard all.count == Set(all.map { $0.contains(":") }).count else {
            throw ValidationError("\(text) is not one address of each kind, as 10.0.0.1,fd00::1 is")
        }
        return text
    }

    /// The URL of something that is known by it.
    public static func secureURL(_ text: String) throws -> String {
        guard text.hasPrefix("https://") else { throw ValidationError("\(text) is no https URL") }
        return text
    }

    /// Where an API is, as kubectl's `--server` has it: a URL, or an address or name with a port or without (6443).
    public static func apiServer(_ text: String) throws -> String {
        let name = text.hasPrefix("https://") ? text.dropFirst("https://".count) : text[...]
        let isPlain = name.utf8.allSatisfy { byte in
            UInt8(ascii: "a")...UInt8(ascii: "z") ~= byte | 0x20 || "0123456789.-:[]/".utf8.contains(byte)
        }
        guard !name.isEmpty, isPlain, name.count < text.count || !name.contains("/") else {
            throw ValidationError("\(text) is neither ADDRESS:PORT nor a URL, as https://api.example.org:6443 is")
        }
        if name.count < text.count { return text }
        if IPAddress(text) != nil || !text.contains(":") { return "https://\(Endpoint.ip(text, port: 6443))" }
        guard let colon = text.lastIndex(of: ":") else { return text }
        return "https://\(text[..<colon]):\(try port(String(text[text.index(after: colon)...])))"
    }

    /// Where a certificate authority speaks ACME.
    public static func acmeDirectory(_ text: String) throws -> String {
        guard ACMESettings.isDirectory(text) else {
            throw ValidationError("\(text) is no https URL, as https://acme-v02.api.letsencrypt.org/directory is")
        }
        return text
    }

    /// A file that lines are added to, or `-`. It is made when it is not there, its folder is not.
    public static func log(_ text: String) throws -> String {
        if text == "-" { return text }
        if Files.isDirectory(text) { throw ValidationError("\(text) is a folder: name a file in it") }
        let folder = text.lastIndex(of: "/").map { text[...$0] } ?? "."
        guard Files.isDirectory(String(folder)) else {
            throw ValidationError("\(text) cannot be written: there is no folder \(folder)")
        }
        return text
    }

    /// A folder that is there.
    public static func folder(_ text: String) throws -> String {
        guard Files.isDirectory(text) else { throw ValidationError("there is no folder \(text)") }
        return text
    }

    /// An address of electronic mail.
    public static func email(_ text: String) throws -> String {
        let parts = text.split(separator: "@", omittingEmptySubsequences: false)
        let isPlain = text.utf8.allSatisfy { (33...126).contains($0) && $0 != UInt8(ascii: ",") }
        guard parts.count == 2, !parts[0].isEmpty, !parts[1].isEmpty, isPlain else {
            throw ValidationError("\(text) is no address to write to, as admin@example.org is")
        }
        return text
    }

    /// How long something is good for: `365d`, `12h`; at least ten seconds.
    public static func lifetime(_ text: String) throws -> String {
        guard let lifetime = Duration(written: text), lifetime >= .seconds(10) else {
            throw ValidationError("\(text) is no time that a certificate can last: write it as 365d or 12h")
        }
        return text
    }

    /// An address with the length of its network.
    public static func virtualAddress(_ text: String) throws -> String {
        let parts = text.split(separator: "/", omittingEmptySubsequences: false)
        guard IPAddress(parts[0]) != nil, parts.count == 1 || IPRange(text).map({ $0.length > 0 }) == true else {
            throw ValidationError("\(text) is no address with a length, as 192.0.2.10/24 is")
        }
        return text
    }

    /// A number of a virtual router, or a priority.
    public static func routerID(_ text: String) throws -> UInt8 {
        guard let number = UInt8(text), number > 0 else { throw ValidationError("\(text) is no number from 1 to 255") }
        return number
    }

    /// A version of VRRP.
    public static func vrrp(_ text: String) throws -> UInt8 {
        guard let number = UInt8(text), number == 2 || number == 3 else {
            throw ValidationError("\(text) is no version of VRRP: 2 or 3")
        }
        return number
    }

    /// A time between advertisements, in milliseconds: `100ms`, `1s`.
    public static func interval(_ text: String) throws -> Int {
        let unit = text.hasSuffix("ms") ? 1 : 1_000
        let digits = text.hasSuffix("ms") ? text.dropLast(2) : text.hasSuffix("s") ? text.dropLast() : ""
        guard let count = UInt16(digits), (10...255_000).contains(Int(count) * unit), Int(count) * unit % 10 == 0 else {
            throw ValidationError(
                "\(text) is no interval: 10ms to 40950ms in steps of 10ms, in version 2 1s to 255s")
        }
        return Int(count) * unit
    }

    /// A node's name.
    public static func nodeName(_ text: String) throws -> String {
        guard !text.isEmpty, text.utf8.count <= 63,
            text.allSatisfy({ $0.isASCII && ($0.isLowercase || $0.isNumber || "-.".contains($0)) })
        else {
            throw ValidationError("\(text) is no name of a node: a-z, 0-9, - and ., at most 63 of them (--node-name)")
        }
        return text
    }

    /// A range of addresses, or one of each family with a comma between them.
    public static func range(_ text: String) throws -> String {
        for part in text.split(separator: ",", omittingEmptySubsequences: false) {
            guard IPRange(String(part)) != nil else {
                throw ValidationError("\"\(part)\" is no range of addresses: write it as 10.244.0.0/16")
            }
        }
        return text
    }
}
