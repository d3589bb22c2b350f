internal import MartletBase
internal import MartletRaft
internal import MartletStore

// Between the store and its files.

extension Store {
    /// An empty store.
    init(_ history: HistoryLimits) { self.init(historyLimit: history.revisions, historyByteLimit: history.bytes) }

    /// Applies an entry of the log.
    mutating func apply(_ entry: RaftEntry) throws(ByteCodecError) -> Applied {
        switch entry.kind {
        case .command: try apply(index: entry.index, payload: entry.payload)
        case .membership:
            try apply(index: entry.index, membership: try MembershipEntry(decoding: entry.payload).context)
        }
    }

    /// Becomes the first state of another cluster, as if by an entry `index`.
    mutating func succeed(_ genesis: Genesis, index: UInt64, bump: Int64, forgetsHistory: Bool) {
        if forgetsHistory { raiseRevision(by: bump) }
        replaceMembers(genesis.members, clusterID: genesis.identity.cluster)
        restartLog(at: index)
    }
}

extension CheckpointState {
    /// Takes from a store all but its versions.
    mutating func take(_ store: Store) {
        revision = store.revision
        oldest = store.oldestRevision
        image = store.image.encoded()
    }
}

extension CheckpointFile {
    /// The store of the last checkpoint.
    /// - Throws: ``ReplicaError/unusable(_:)`` when the file is damaged: also where it only contradicts its own digest.
    func loadStore(_ history: HistoryLimits) throws -> Store {
        guard let state else { throw ReplicaError.unusable("\(path) holds no checkpoint") }
        do {
            let image = try StoreImage(decoding: state.image)
            guard image.revision == state.revision, image.oldestRevision == state.oldest,
                image.appliedIndex == state.appliedIndex
            else { throw ReplicaError.damaged(path, "its state contradicts the store's") }
            var loader = Store.Loader(image, historyLimit: history.revisions, historyByteLimit: history.bytes)
            try read { try loader.add($0) }
            return try loader.finish()
        } catch let error as ByteCodecError {
            throw ReplicaError.damaged(path, "\(error)")
        } catch let error as StoreImageError {
            throw ReplicaError.damaged(path, "\(error)")
        }
    }
}
