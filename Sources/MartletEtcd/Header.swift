internal import MartletEtcdMessages
internal import SwiftProtobuf

/// What comes with each response: from whom, and as of when.
struct Header: Sendable, Hashable {
    var cluster: UInt64
    var member: UInt64
    var revision: Int64
    var term: UInt64

    /// The header of a step inside of a transaction: its revision alone.
    static func step(_ revision: Int64) -> Header { Header(cluster: 0, member: 0, revision: revision, term: 0) }

    /// With another revision.
    func at(_ revision: Int64) -> Header {
        var copy = self
        copy.revision = revision
        return copy
    }

    /// For the generated messages.
    var message: EtcdResponseHeader {
        .with {
            $0.clusterID = cluster
            $0.memberID = member
            $0.revision = revision
            $0.raftTerm = term
        }
    }

    /// A response that holds a header only.
    var alone: [UInt8] {
        var writer = WireWriter(capacity: size)
        write(to: &writer)
        return writer.bytes
    }

    private var bodySize: Int {
        WireSize.int(Int64(bitPattern: cluster)) + WireSize.int(Int64(bitPattern: member)) + WireSize.int(revision)
            + WireSize.int(Int64(bitPattern: term))
    }
    /// Its bytes as field 1 of a response.
    var size: Int { WireSize.counted(bodySize) }

    /// Writes it as field 1 of a response.
    func write(to writer: inout WireWriter) {
        writer.begin(1, count: bodySize)
        writer.uint(1, cluster)
        writer.uint(2, member)
        writer.int(3, revision)
        writer.uint(4, term)
    }
}
