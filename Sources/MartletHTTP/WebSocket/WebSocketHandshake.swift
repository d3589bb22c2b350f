public import HTTPTypes
internal import MartletBase

/// The opening handshake of RFC 6455, section 4, with heads in and heads out.
public enum WebSocketHandshake {
    private static let magic = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
    /// Subprotocols read of one request; the rest is ignored.
    static let protocolsRead = 32

    /// Whether the request wants to become a WebSocket.
    public static func isWanted(_ head: HTTPRequest) -> Bool {
        let fields = head.headerFields
        return fields[.upgrade]?.lowercased() == "websocket"
            && (fields[.connection] ?? "").lowercased().split(separator: ",")
                .contains { $0.filter { $0 != " " } == "upgrade" }
    }

    /// The subprotocols that the request offers, preferred first.
    public static func protocols(of head: HTTPRequest) -> [String] {
        (head.headerFields[.secWebSocketProtocol] ?? "").split(separator: ",").prefix(protocolsRead)
            .map { $0.trimmed }
    }

    /// The answer that opens the WebSocket.
    /// - Throws: ``HTTPError/malformed(_:)`` saying what is wrong with the request.
    public static func accept(_ head: HTTPRequest, subprotocol: String?) throws(HTTPError) -> HTTPResponse {
        guard head.method == .get else { throw .malformed("a WebSocket is opened by GET") }
        guard isWanted(head) else { throw .malformed("the request does not ask for a WebSocket") }
        guard head.headerFields[.secWebSocketVersion]?.trimmed == "13" else {
            throw .malformed("only version 13 of WebSocket is spoken here")
        }
        guard let key = head.headerFields[.secWebSocketKey]?.trimmed, Base64.decode(key)?.count == 16 else {
            throw .malformed("Sec-WebSocket-Key is not 16 bytes in base64")
        }
        var answer = HTTPResponse(status: .switchingProtocols)
        answer.headerFields[.upgrade] = "websocket"
        answer.headerFields[.secWebSocketAccept] = acceptance(of: key)
        answer.headerFields[.secWebSocketProtocol] = subprotocol
        return answer
    }

    /// The request that asks for a WebSocket. `key` is 16 random bytes.
    public static func request(
        path: String, authority: String, protocols: [String], key: [UInt8], scheme: String = "http"
    ) -> HTTPRequest {
        var head = HTTPRequest(method: .get, scheme: scheme, authority: authority, path: path)
        head.headerFields[.connection] = "Upgrade"
        head.headerFields[.upgrade] = "websocket"
        head.headerFields[.secWebSocketVersion] = "13"
        head.headerFields[.secWebSocketKey] = Base64.encode(key)
        if !protocols.isEmpty { head.headerFields[.secWebSocketProtocol] = protocols.joined(separator: ", ") }
        return head
    }

    /// Whether the answer opens the WebSocket that was asked for with `key`.
    public static func isAccepted(_ answer: HTTPResponse, key: [UInt8]) -> Bool {
        answer.status == .switchingProtocols && answer.headerFields[.upgrade]?.lowercased() == "websocket"
            && answer.headerFields[.secWebSocketAccept] == acceptance(of: Base64.encode(key))
    }

    static func acceptance(of key: String) -> String { Base64.encode(Digest.sha1(Array((key + magic).utf8))) }
}

extension StringProtocol {
    /// Without blanks and tabs at both ends.
    fileprivate var trimmed: String {
        let isBlank: (Character) -> Bool = { $0 == " " || $0 == "\t" }
        return String(String(drop(while: isBlank).reversed().drop(while: isBlank)).reversed())
    }
}
