public import MartletObject

/// Tables of nftables that follow from objects of the API. A value: it is told of objects and answers with the
/// difference that they make.
public protocol KernelTables: Sendable {
    /// What is to be done after some objects have changed.
    associatedtype Changes: KernelChanges

    /// The kinds of objects that it follows from.
    static var kinds: [ResourceKind] { get }

    /// Whether something has changed since the last ``takeChanges()``.
    var hasChanges: Bool { get }

    /// An object of one of the kinds is new or has changed.
    mutating func put(_ object: JSON, _ kind: ResourceKind)

    /// An object of one of the kinds is gone.
    mutating func remove(_ object: JSON, _ kind: ResourceKind)

    /// The difference that all changes make since the last time.
    mutating func takeChanges() -> Changes

    /// Everything anew, in place of what tables of that name hold; also where nothing has changed.
    mutating func takeEverything() -> Changes

    /// What the kernel should hold once all changes that were taken are made.
    var wanted: [NftInventory] { get }

    /// The tables that it may have made, for their removal.
    var removals: [NftTransaction] { get }
}

/// What is to be done in the kernel.
public protocol KernelChanges: Sendable {
    /// One transaction a table, where there is something to change.
    var transactions: [NftTransaction] { get }
}

/// What a table holds, as far as it is compared with what it should hold.
public struct NftInventory: Sendable, Hashable {
    /// The table's family.
    public var family: NftFamily
    /// The table's name.
    public var table: String
    /// How many rules each chain has.
    public var ruleCounts: [String: Int]
    /// The elements of each map and set that is compared.
    public var elements: [String: Set<NftElement>]

    /// An inventory from its parts.
    public init(
        _ family: NftFamily, table: String, ruleCounts: [String: Int], elements: [String: Set<NftElement>]
    ) {
        self.family = family
        self.table = table
        self.ruleCounts = ruleCounts
        self.elements = elements
    }
}
