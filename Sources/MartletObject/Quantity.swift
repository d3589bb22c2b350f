/// A resource quantity: `500m`, `1Gi`, `2e3` (Kubernetes' resource.Quantity), exact to a thousandth.
public struct Quantity: Sendable, Hashable, Comparable {
    /// The value times 1000, saturating.
    public var milli: Int64

    /// A quantity of so many thousandths.
    public init(milli: Int64) { self.milli = milli }

    /// Reads the text; nil when it is not a quantity. Fractions below a thousandth round up.
    public init?(_ text: String) {
        guard let parts = QuantityText(text) else { return nil }
        let magnitude = parts.scaled(to: -3) ?? .max
        let limited = Int64(clamping: magnitude)
        milli = parts.isNegative ? -limited : limited
    }

    /// Reads text or a number.
    public init?(_ json: JSON?) {
        switch json {
        case .string(let text): self.init(text)
        case .int(let value): self.init(String(value))
        case .double(let value): self.init(value.description)
        default: return nil
        }
    }

    /// The value rounded up to a whole number.
    public var whole: Int64 { milli / 1000 + (milli % 1000 > 0 ? 1 : 0) }

    /// Whether `a` is less than `b`.
    public static func < (a: Quantity, b: Quantity) -> Bool { a.milli < b.milli }

    /// The text as the API stores it: `0.5` becomes `500m`, `1024Mi` becomes `1Gi`. Nil when it is not a quantity.
    public static func canonical(_ text: String) -> String? { QuantityText(text)?.canonical }

    /// The sum, saturating.
    public static func + (a: Quantity, b: Quantity) -> Quantity {
        let (sum, overflows) = a.milli.addingReportingOverflow(b.milli)
        return Quantity(milli: overflows ? (a.milli < 0 ? .min : .max) : sum)
    }
}

/// A quantity's text taken apart: `(-)digits * 10^exponent * 1024^binary`.
private struct QuantityText {
    enum Format { case decimal, binary, exponent }

    var isNegative = false
    var digits: UInt128 = 0
    var exponent = 0
    var binary = 0
    var format = Format.decimal

    /// Digits beyond this do not fit any quantity; further ones count as powers of ten, or are dropped if behind the
    /// point.
    private static let mostDigits: UInt128 = 100_000_000_000_000_000_000_000_000_000
    private static let decimalSuffixes = ["n": -9, "u": -6, "m": -3, "": 0, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15]
    private static let binarySuffixes = ["Ki", "Mi", "Gi", "Ti", "Pi", "Ei"]

    init?(_ text: String) {
        var rest = Substring(text).utf8
        if rest.first == UInt8(ascii: "-") || rest.first == UInt8(ascii: "+") {
            isNegative = rest.removeFirst() == UInt8(ascii: "-")
        }
        var isFraction = false
        var count = 0
        while let byte = rest.first {
            if byte == UInt8(ascii: "."), !isFraction {
                isFraction = true
            } else if (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) {
                count += 1
                add(digit: UInt128(byte - UInt8(ascii: "0")), isFraction: isFraction)
            } else {
                break
            }
            rest.removeFirst()
        }
        guard count > 0, read(suffix: String(Substring(rest))) else { return nil }
    }

    private mutating func add(digit: UInt128, isFraction: Bool) {
        if digits < Self.mostDigits {
            digits = digits * 10 + digit
            if isFraction { exponent -= 1 }
        } else if !isFraction {
            exponent += 1
        } else if digit > 0 {
            digits |= 1  // keeps the rounding up
        }
    }

    private mutating func read(suffix: String) -> Bool {
        if let power = Self.decimalSuffixes[suffix] {
            exponent += power
            return true
        }
        if let index = Self.binarySuffixes.firstIndex(of: suffix) {
            binary = index + 1
            format = .binary
            return true
        }
        if suffix == "E" {
            exponent += 18
            return true
        }
        guard suffix.hasPrefix("e") || suffix.hasPrefix("E"), let power = Int(suffix.dropFirst()),
            abs(power) <= 1_000
        else { return false }
        exponent += power
        format = .exponent
        return true
    }

    /// The magnitude in units of 10^`power`, rounded up; nil when it does not fit.
    func scaled(to power: Int) -> UInt128? {
        var value = digits
        for _ in 0..<binary {
            let (product, overflows) = value.multipliedReportingOverflow(by: 1024)
            if overflows { return nil }
            value = product
        }
        return Self.scale(value, by: exponent - power)
    }

    /// `value` * 10^`power`, rounded up; nil when it does not fit.
    private static func scale(_ value: UInt128, by power: Int) -> UInt128? {
        var value = value
        if value == 0 { return 0 }
        if power > 39 { return nil }
        if power < -39 { return 1 }
        var isInexact = false
        for _ in 0..<abs(power) {
            if power > 0 {
                let (product, overflows) = value.multipliedReportingOverflow(by: 10)
                if overflows { return nil }
                value = product
            } else {
                isInexact = isInexact || value % 10 != 0
                value /= 10
            }
        }
        return value + (isInexact ? 1 : 0)
    }

    var canonical: String? {
        let sign = isNegative && digits > 0 ? "-" : ""
        if format == .binary, let whole = scaled(to: 0), whole >= 1024 {
            var value = whole
            var unit = 0
            while value % 1024 == 0, unit < Self.binarySuffixes.count {
                value /= 1024
                unit += 1
            }
            return "\(sign)\(value)\(unit == 0 ? "" : Self.binarySuffixes[unit - 1])"
        }
        guard var (value, power) = decimalForm else { return nil }
        while power % 3 != 0 {
            let (product, overflows) = value.multipliedReportingOverflow(by: 10)
            if overflows { return nil }
            value = product
            power -= 1
        }
        if format == .exponent { return "\(sign)\(value)\(power == 0 ? "" : "e\(power)")" }
        while power > 18 {
            let (product, overflows) = value.multipliedReportingOverflow(by: 1000)
            if overflows { return nil }
            value = product
            power -= 3
        }
        let suffix = power == 18 ? "E" : Self.decimalSuffixes.first { $0.value == power }?.key ?? ""
        return "\(sign)\(value)\(suffix)"
    }

    /// The magnitude as digits without trailing zeros and a power of ten, not below billionths.
    private var decimalForm: (digits: UInt128, power: Int)? {
        var value = digits
        var power = exponent
        for _ in 0..<binary {
            let (product, overflows) = value.multipliedReportingOverflow(by: 1024)
            if overflows { return nil }
            value = product
        }
        if value == 0 { return (0, 0) }
        if power < -9 {
            guard let rounded = Self.scale(value, by: power + 9) else { return nil }
            value = rounded
            power = -9
        }
        while value % 10 == 0 {
            value /= 10
            power += 1
        }
        return (value, power)
    }
}
