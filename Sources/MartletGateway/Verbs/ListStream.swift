internal import HTTPTypes
internal import MartletHTTP
internal import MartletObject
internal import MartletStore

/// A whole list in JSON, written while it is read: all at one revision, and never more than a piece of it in memory.
struct ListStream: Sendable {
    let registry: Registry
    let kind: ResourceKind
    let selection: Selection
    /// The revision that all objects are shown at.
    let revision: Int64

    /// Where the next piece begins.
    private struct Place {
        var range: Keys.Range
        var isFirst = true
        var isOver = false
    }

    /// The answer: at once when the list is short, else piece by piece. A list whose revision is compacted while a
    /// slow client takes it is cut off.
    func response() async throws(APIError) -> Response {
        var place = Place(range: selection.range)
        var bytes = Array(
            ("{\"kind\":\"\(kind.kind)List\",\"apiVersion\":\"\(kind.apiVersion)\","
                + "\"metadata\":{\"resourceVersion\":\"\(revision)\"},\"items\":[").utf8)
        try await fill(&bytes, &place)
        if place.isOver { return Response(status: .ok, contentType: "application/json", bytes: bytes) }
        var head = HTTPResponse(status: .ok)
        head.headerFields[.contentType] = "application/json"
        return Response(
            head: head,
            body: .stream { [place, bytes] writer in
                var (place, bytes) = (place, bytes)
                while true {
                    try await writer.write(bytes)
                    if place.isOver { return }
                    bytes.removeAll(keepingCapacity: true)
                    try await fill(&bytes, &place)
                }
            })
    }

    /// Appends objects until there is a piece of them, or none is left and the list is closed.
    private func fill(_ bytes: inout [UInt8], _ place: inout Place) async throws(APIError) {
        while bytes.count < Limits.listPiece {
            let (pairs, _, more) = try await registry.storage.range(
                place.range, limit: Limits.listStep, at: revision)
            for pair in pairs where try selection.admits(pair) {
                if !place.isFirst { bytes.append(UInt8(ascii: ",")) }
                place.isFirst = false
                try kind.appendServed(pair.value, revision: pair.modRevision, to: &bytes)
            }
            guard more, let last = pairs.last else {
                bytes += "]}".utf8
                place.isOver = true
                return
            }
            place.range.from = Keys.after(last.key)
        }
    }
}

extension Registry {
    /// A list that can be written while it is read; nil when the query asks for pages.
    func listStream(_ target: Target, query: Query) async throws(APIError) -> ListStream? {
        if query.text("continue") != nil { return nil }
        if let limit = try query.integer("limit"), limit > 0 { return nil }
        try Self.checkListOptions(query)
        let selection = try Selection(target, query: query)
        let revision = try await listRevision(query)
        let shown: Int64
        if let revision { shown = revision } else { shown = await storage.revision() }
        return ListStream(registry: self, kind: target.kind, selection: selection, revision: shown)
    }
}
