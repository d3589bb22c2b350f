internal import MartletObject

extension JSON {
    /// Takes out what is empty of `metadata`'s maps and lists. Upstream's types leave these out too, and clients that
    /// compare (`kubectl diff`) would see a change where there is none.
    mutating func dropEmptyMetadata() {
        for name in ["labels", "annotations"] where self["metadata", name] == [:] {
            self["metadata", name] = nil
        }
        for name in ["finalizers", "ownerReferences"] where self["metadata", name] == [] {
            self["metadata", name] = nil
        }
    }
}
