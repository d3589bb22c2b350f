#if canImport(Glibc)
internal import Glibc
#else
internal import Musl
#endif

/// Keys are ordered by their bytes, a prefix before what it begins.
enum ByteOrder {
    /// Negative when `a` comes before `b`, 0 when they are equal, positive otherwise. When one begins with the other,
    /// the difference of their lengths.
    static func compare(_ a: [UInt8], _ b: [UInt8]) -> Int {
        let shared = min(a.count, b.count)
        if shared > 0 {
            let order = unsafe a.withUnsafeBufferPointer { left in
                unsafe b.withUnsafeBufferPointer { right in
                    guard let l = left.baseAddress, let r = right.baseAddress else { return Int32(0) }
                    return unsafe memcmp(l, r, shared)
                }
            }
            if order != 0 { return order < 0 ? .min : .max }
        }
        return a.count - b.count
    }
}
