/// A resource quantity: `500m`, `1Gi`, `2e3` (Kubernetes' resource.Quantity), exact to a thousandth.
public struct Quantity: Sendable, Hashable, Comparable {
    /// The value times 1000, saturating.
    public var milli: Int64
    /// A quantity of so many thousandths.
    public init(milli: Int64) { self.milli = milli }
    /// Reads the text; nil when it is not a quantity. Fractions below a thousandth round up.
    public init?(_ text: String) { return nil }
    /// Reads text or a number.
    public init?(_ json: JSON?) { return nil }
    /// The value rounded up to a whole number.
    public var whole: Int64 { milli / 1000 + (milli % 1000 > 0 ? 1 : 0) }
    /// Whether `a` is less than `b`.
    public static func < (a: Quantity, b: Quantity) -> Bool { a.milli < b.milli }
}
