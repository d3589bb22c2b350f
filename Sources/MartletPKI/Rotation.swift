public import MartletBase
public import MartletObject

/// The exchange of a cluster's certificates, under way or done: which phase stands, and when the next one may begin.
///
/// A value without a clock. It is kept in the replicated store; whichever master leads asks it for its next step, and
/// each machine does what the phase says and then tells which one it has taken
/// (`docs/decisions/rotating-authorities.md`).
public struct Rotation: Sendable, Hashable {
    /// What is exchanged.
    public enum Scope: Sendable, Hashable {
        /// Every leaf of one machine, or of all.
        case leaves(of: String?)
        /// Every authority and the key of service account tokens, and every leaf with them.
        case authorities
    }

    /// What machines do. Each phase is safe beside those before and after it, so that machines may take it at
    /// different times.
    public enum Phase: String, Sendable, CaseIterable {
        /// Trust the new authorities beside the old ones.
        case trust
        /// Masters sign by the new authorities.
        case sign
        /// New leaves, and new tokens for pods.
        case issue
        /// Trust the old authorities no longer.
        case withdraw
        /// Nothing more.
        case done
    }

    /// What tells this rotation from others.
    public var id: String
    /// What is exchanged.
    public var scope: Scope
    /// The phase that stands.
    public var phase: Phase
    /// When it began.
    public var startedAt: WallTime
    /// How long old authorities stay trusted after every machine has new leaves: for people's kubeconfigs, and for
    /// programs that read their token once in a while.
    public var overlap: Duration
    /// Whether it goes on without machines that are away. These have to join again.
    public var leavesAwayBehind = false
    /// When every machine had taken the phase that stands; nil before.
    public var takenAt: WallTime?
    /// Who has not taken the phase that stands, in words.
    public var waitsFor: [String] = []

    /// A rotation that begins.
    public init(id: String, scope: Scope, startedAt: WallTime, overlap: Duration = .zero) {
        self.id = id
        self.scope = scope
        self.startedAt = startedAt
        self.overlap = overlap
        phase = scope == .authorities ? .trust : .issue
    }

    /// What a machine has done.
    public struct Mark: Sendable, Hashable {
        /// Of which rotation.
        public var rotation: String
        /// The last phase that it has taken.
        public var phase: Phase
        /// A mark from its parts.
        public init(rotation: String, phase: Phase) {
            self.rotation = rotation
            self.phase = phase
        }
    }

    /// A machine of the cluster, as the leader knows it.
    public struct Machine: Sendable, Hashable {
        /// Its name in the cluster.
        public var name: String
        /// Whether nothing is heard of it now.
        public var isAway: Bool
        /// Whether it has asked to be let in, and has not come yet.
        public var isJoining: Bool
        /// What it has told last.
        public var mark: Mark?
        /// A machine from its parts.
        public init(name: String, isAway: Bool = false, isJoining: Bool = false, mark: Mark? = nil) {
            self.name = name
            self.isAway = isAway
            self.isJoining = isJoining
            self.mark = mark
        }

        /// Its name, and why it is late where that is known.
        var described: String { isJoining ? "\(name) (joining)" : isAway ? "\(name) (away)" : name }
    }

    /// The mark of a machine that has done what the phase that stands asks for.
    public var mark: Mark { Mark(rotation: id, phase: phase) }

    /// Whether it asks anything of a machine.
    public func concerns(_ machine: String) -> Bool {
        guard case .leaves(let only?) = scope else { return true }
        return only == machine
    }

    /// Goes on as far as the machines allow: by one phase at most, so that each is written down before it is begun.
    public mutating func step(_ machines: [Machine], now: WallTime) {
        guard phase != .done else { return }
        let late = machines.filter { concerns($0.name) && $0.mark?.covers(self) != true }
        let awaited = late.filter { !($0.isAway && leavesAwayBehind) }
        waitsFor = awaited.map(\.described).sorted()
        // Nobody known is no consent.
        guard awaited.isEmpty, machines.contains(where: { concerns($0.name) }) else { return }
        let since = takenAt ?? now
        takenAt = since
        if scope == .authorities, phase == .issue, now < since + overlap { return }
        phase = next
        takenAt = nil
        waitsFor = []
    }

    private var next: Phase {
        guard scope == .authorities else { return .done }
        let phases = Phase.allCases
        return phases[min(phase.order + 1, phases.count - 1)]
    }

    /// Until when old authorities stay trusted; nil unless that is all that is waited for.
    public var overlapEnds: WallTime? {
        guard scope == .authorities, phase == .issue, let takenAt else { return nil }
        return takenAt + overlap
    }
}

extension Rotation.Phase {
    /// Phases follow each other in the order in which they are declared.
    var order: Int { Self.allCases.firstIndex(of: self) ?? 0 }
    /// Whether it comes after another, or is it.
    public func reaches(_ other: Rotation.Phase) -> Bool { order >= other.order }
    /// Whether both old and new authorities are trusted.
    public var trustsBoth: Bool { self != .withdraw && self != .done }
}

extension Rotation.Mark {
    /// As machines keep and tell it.
    public var json: JSON { ["rotation": .string(rotation), "phase": .string(phase.rawValue)] }

    /// Reads what ``json`` wrote; nil for anything else.
    public init?(_ json: JSON) {
        guard let rotation = json["rotation"]?.string,
            let phase = json["phase"]?.string.flatMap(Rotation.Phase.init)
        else { return nil }
        self.init(rotation: rotation, phase: phase)
    }

    /// Whether the rotation's phase was taken by whoever has this mark.
    public func covers(_ rotation: Rotation) -> Bool {
        self.rotation == rotation.id && phase.reaches(rotation.phase)
    }
}

extension Rotation {
    /// As it is kept and shown.
    public var json: JSON {
        var json: JSON = [
            "id": .string(id), "scope": scope == .authorities ? "ca" : "leaf", "phase": .string(phase.rawValue),
            "startedAt": .string(startedAt.rfc3339), "overlapSeconds": .int(overlap.components.seconds),
            "leavesAwayBehind": .bool(leavesAwayBehind), "waitsFor": .array(waitsFor.map { .string($0) }),
        ]
        if case .leaves(let machine?) = scope { json["machine"] = .string(machine) }
        if let takenAt { json["takenAt"] = .string(takenAt.rfc3339) }
        if let overlapEnds { json["overlapEnds"] = .string(overlapEnds.rfc3339) }
        return json
    }

    /// Reads what ``json`` wrote; nil for anything else.
    public init?(_ json: JSON) {
        guard let id = json["id"]?.string, let phase = json["phase"]?.string.flatMap(Phase.init),
            let startedAt = json["startedAt"]?.string.flatMap({ WallTime(rfc3339: $0) }),
            let seconds = json["overlapSeconds"]?.int, (0...Int64(1) << 32).contains(Int64(seconds))
        else { return nil }
        let scope: Scope
        switch json["scope"]?.string {
        case "ca": scope = .authorities
        case "leaf": scope = .leaves(of: json["machine"]?.string)
        default: return nil
        }
        self.init(id: id, scope: scope, startedAt: startedAt, overlap: .seconds(Int64(seconds)))
        self.phase = phase
        leavesAwayBehind = json["leavesAwayBehind"]?.bool ?? false
        takenAt = json["takenAt"]?.string.flatMap { WallTime(rfc3339: $0) }
        waitsFor = (json["waitsFor"]?.array ?? []).compactMap(\.string)
    }
}
