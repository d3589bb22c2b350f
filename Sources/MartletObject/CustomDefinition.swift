/// Reading CustomResourceDefinitions (apiextensions.k8s.io/v1).
public enum CustomDefinition {
    /// Whether a condition of that type is true.
    public static func condition(_ type: String, of definition: JSON) -> Bool {
        definition["status", "conditions"]?.array?.contains { $0["type"]?.string == type && $0["status"] == "True" }
            ?? false
    }
}
