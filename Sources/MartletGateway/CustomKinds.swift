internal import Logging
internal import MartletBase
internal import MartletObject
internal import MartletReplica
internal import MartletStore

/// Keeps the served kinds in step with the CustomResourceDefinitions in the store, gives definitions their status,
/// and empties the kinds of those that are being deleted. Every gateway does all of it: what two do at once is
/// decided by the store, and comes to the same.
actor CustomKinds {
    private static let definitions = Keys.collection(.customResourceDefinition, namespace: "")

    private let registry: Registry
    private let served: ServedKinds
    private let world: any World
    private let logger: Logger
    /// The definitions as they were last read: their keys, revisions and kinds.
    private var known: [[UInt8]: (revision: Int64, definition: JSON, kinds: [ResourceKind])] = [:]
    private var task: Task<Void, Never>?
    private var cleaning: [String: Task<Void, Never>] = [:]
    private var isBusy = false
    /// Whether a further look is on its way.
    private var looksAgain = false
    /// Those that want to settle while somebody does: one for each write of a definition in flight.
    private var waiting: [CheckedContinuation<Void, Never>] = []
    /// The revision of the last reading that was taken.
    private var revision: Int64 = -1

    init(registry: Registry, served: ServedKinds, world: any World, logger: Logger) {
        self.registry = registry
        self.served = served
        self.world = world
        self.logger = logger
    }

    /// Reads the definitions, and follows them from now on.
    func start() async {
        await refresh()
        guard task == nil else { return }
        let world = world
        task = world.spawn { [weak self] in
            while !Task.isCancelled {
                guard await self?.follow() == true else { return }
                guard (try? await world.sleep(for: Limits.definitionsPause)) != nil else { return }
            }
        }
    }

    /// Whether the definitions have been read.
    var isReady: Bool { revision >= 0 }

    /// Follows the definitions until the store says that it has moved on; false when it has closed.
    private func follow() async -> Bool {
        do {
            let watch = try await registry.storage.watch(Self.definitions, after: await registry.storage.revision())
            defer { watch.cancel() }
            await refresh()
            await settle()
            while let (events, _) = try await watch.next() {
                if events.isEmpty { continue }
                await refresh()
                await settle()
            }
            return false
        } catch is CancellationError {
            return false
        } catch {
            logger.debug("definitions are followed anew", metadata: ["error": "\(error)"])
            return true
        }
    }

    /// Serves what the definitions in the store say now. Cheap when nothing has changed.
    func refresh() async {
        var range = Self.definitions
        var pairs: [KeyValue] = []
        var revision: Int64?
        while true {
            guard let step = try? await registry.storage.range(range, limit: Limits.listChunk, at: revision) else {
                return
            }
            revision = step.revision
            pairs += step.pairs
            guard step.more, let last = step.pairs.last else { break }
            range.from = Keys.after(last.key)
        }
        // Another reading may have been quicker, and seen more.
        guard let seen = revision, seen >= self.revision else { return }
        self.revision = seen
        take(pairs)
    }

    /// Takes in a change that was made here, so that its answer comes when its kind is served.
    func takeChange() async {
        await refresh()
        await settle()
    }

    /// The bound on definitions is the store's: what is in it is served.
    private func take(_ pairs: [KeyValue]) {
        let isSame = pairs.count == known.count && pairs.allSatisfy { known[$0.key]?.revision == $0.modRevision }
        if isSame { return }
        var next: [[UInt8]: (revision: Int64, definition: JSON, kinds: [ResourceKind])] = [:]
        for pair in pairs {
            if let old = known[pair.key], old.revision == pair.modRevision {
                next[pair.key] = old
                continue
            }
            guard let definition = try? pair.object() else { continue }
            let old = known[pair.key]
            // A change of the status alone leaves the kinds as they are: their watches live on.
            let isSameKind =
                old.map { Self.identity($0.definition) == Self.identity(definition) } ?? false
            let lineage = old.flatMap { old in
                Self.onlyEnds(old.definition, definition) ? old.kinds.first?.custom?.lineage : nil
            }
            let kinds = isSameKind ? old?.kinds ?? [] : ResourceKind.custom(of: definition, lineage: lineage)
            next[pair.key] = (pair.modRevision, definition, kinds)
        }
        let before = known.values.flatMap(\.kinds).compactMap(\.custom).map(ObjectIdentifier.init)
        known = next
        let kinds = next.values.flatMap(\.kinds)
        let after = kinds.compactMap(\.custom).map(ObjectIdentifier.init)
        if Set(before) != Set(after) { served.swap(to: KindCatalog(custom: kinds)) }
    }

    /// Whether nothing but the deletion of a definition has begun: watches live on, and see its objects go.
    private static func onlyEnds(_ old: JSON, _ new: JSON) -> Bool {
        !old.isTerminating && new.isTerminating && old.uid == new.uid && old["spec"] == new["spec"]
            && old["status", "acceptedNames"] == new["status", "acceptedNames"]
    }

    /// What the kinds of a definition depend on.
    private static func identity(_ definition: JSON) -> [JSON] {
        [
            .string(definition.uid), .int(Int64(definition.generation)), definition["status", "acceptedNames"] ?? nil,
            .bool(CustomDefinition.condition("Established", of: definition)), .bool(definition.isTerminating),
        ]
    }

    // MARK: Status

    /// Gives every definition the status that it should have, and begins to empty those that are being deleted.
    private func settle() async {
        while isBusy { await withCheckedContinuation { waiting.append($0) } }
        isBusy = true
        defer {
            isBusy = false
            for waiter in waiting { waiter.resume() }
            waiting = []
        }
        let ordered = known.values.map(\.definition).sorted {
            ($0["metadata", "creationTimestamp"]?.string ?? "", $0.name)
                < ($1["metadata", "creationTimestamp"]?.string ?? "", $1.name)
        }
        for definition in ordered {
            if definition.isTerminating {
                if hasFinalizer(definition) { beginCleaning(definition) }
                continue
            }
            let now = world.wallTime().rfc3339
            let others = known.values.map(\.definition)
            if CustomDefinition.named(definition, among: others, now: now) == definition { continue }
            await change(definition.name) { CustomDefinition.named($0, among: others, now: now) }
            await refresh()
        }
    }

    private func hasFinalizer(_ definition: JSON) -> Bool {
        definition["metadata", "finalizers"]?.array?.contains(.string(CustomDefinition.cleanupFinalizer)) ?? false
    }

    private func change(_ name: String, _ make: @Sendable (JSON) -> JSON) async {
        let target = Target(kind: .customResourceDefinition, namespace: "", name: name, subresource: "")
        do {
            _ = try await registry.modify(target, part: .whole, options: WriteOptions()) { old throws(APIError) in
                (make(old), [])
            }
        } catch {
            // Somebody else was quicker, or the store takes no writes now.
            lookAgainSoon()
            logger.debug("a definition's status was not written", metadata: ["name": "\(name)", "error": "\(error)"])
        }
    }

    /// No change may ever come that leads here again: the definition would never be established.
    private func lookAgainSoon() {
        if looksAgain { return }
        looksAgain = true
        world.spawn { [weak self, world] in
            try? await world.sleep(for: Limits.definitionsPause)
            await self?.lookAgain()
        }
    }

    private func lookAgain() async {
        looksAgain = false
        await refresh()
        await settle()
    }

    // MARK: Deletion

    private func beginCleaning(_ definition: JSON) {
        guard cleaning[definition.uid] == nil else { return }
        let world = world
        cleaning[definition.uid] = world.spawn { [weak self] in
            while !Task.isCancelled {
                if await self?.clean(definition) ?? true { break }
                guard (try? await world.sleep(for: Limits.cleaningPause)) != nil else { break }
            }
            await self?.endCleaning(definition.uid)
        }
    }

    private func endCleaning(_ uid: String) { cleaning[uid] = nil }

    /// Deletes the objects of a definition's kind; true when there are none left and the definition has been let go.
    private func clean(_ definition: JSON) async -> Bool {
        do {
            if let kind = ResourceKind.home(of: definition), try await !registry.empty(kind) { return false }
        } catch {
            logger.debug(
                "objects of a definition were not deleted",
                metadata: ["name": "\(definition.name)", "error": "\(error)"])
            return false
        }
        await change(definition.name) { old in
            guard old.uid == definition.uid else { return old }
            var freed = old
            let finalizers = (old["metadata", "finalizers"]?.array ?? []).filter {
                $0 != .string(CustomDefinition.cleanupFinalizer)
            }
            freed["metadata", "finalizers"] = finalizers.isEmpty ? nil : .array(finalizers)
            return freed
        }
        await refresh()
        return !known.values.contains { $0.definition.uid == definition.uid && hasFinalizer($0.definition) }
    }
}
