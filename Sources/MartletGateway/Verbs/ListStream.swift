internal import HTTPTypes
internal import MartletHTTP
internal import MartletObject
internal import MartletStore

/// A whole list, written while it is read: all at one revision, and never more than a piece of it in memory.
struct ListStream: Sendable {
    let registry: Registry
    let kind: ResourceKind
    let selection: Selection
    let renderer: Renderer
    /// The revision that all objects are shown at.
    let revision: Int64

    /// Where the next piece begins.
    private struct Place {
        var walk: RangeWalk
        var isFirst = true
    }

    /// The answer: at once when the list is short, else piece by piece. A list whose revision is compacted while a
    /// slow client takes it is cut off.
    func response() async throws(APIError) -> Response {
        var place = Place(walk: RangeWalk(registry.storage, over: selection.range, at: revision))
        var bytes = renderer.listHead(kind, revision: revision)
        try await fill(&bytes, &place)
        if place.walk.isOver { return renderer.send(bytes, code: 200) }
        var head = HTTPResponse(status: .ok)
        head.headerFields[.contentType] = "application/json"
        return Response(
            head: head,
            body: .stream { [place, bytes] writer in
                guard renderer.isPretty else { return try await write(to: writer, bytes, place) }
                let pretty = PrettyBodyWriter(writer)
                try await write(to: pretty, bytes, place)
                try await pretty.finish()
            })
    }

    private func write(to writer: any BodyWriter, _ first: [UInt8], _ start: Place) async throws {
        var (place, bytes) = (start, first)
        while true {
            try await writer.write(bytes)
            if place.walk.isOver { return }
            bytes.removeAll(keepingCapacity: true)
            try await fill(&bytes, &place)
        }
    }

    /// Appends objects until there is a piece of them, or none is left and the list is closed.
    private func fill(_ bytes: inout [UInt8], _ place: inout Place) async throws(APIError) {
        while bytes.count < Limits.listPiece, let pair = try await place.walk.next() {
            guard selection.admits(pair) else { continue }
            if !place.isFirst { bytes.append(UInt8(ascii: ",")) }
            place.isFirst = false
            try renderer.appendItem(pair, kind: kind, to: &bytes)
        }
        if place.walk.isOver { bytes += Renderer.listEnd }
    }
}

extension Registry {
    /// A list that can be written while it is read; nil when the query asks for pages.
    func listStream(_ target: Target, query: Query, renderer: Renderer) async throws(APIError) -> ListStream? {
        if query.text("continue") != nil { return nil }
        if let limit = try query.integer("limit"), limit > 0 { return nil }
        try Self.checkListOptions(query)
        let selection = try Selection(target, query: query)
        let revision = try await listRevision(query)
        let shown: Int64
        if let revision { shown = revision } else { shown = await storage.revision() }
        return ListStream(
            registry: self, kind: target.kind, selection: selection, renderer: renderer, revision: shown)
    }
}
