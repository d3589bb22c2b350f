/// The OpenAPI documents, made from the tables.
public enum OpenAPI {
    /// `/openapi/v3/api/v1` or `/openapi/v3/apis/GROUP/VERSION`; nil when the group is not served.
    public static func v3(group: String, version: String) -> JSON? { nil }
    /// `/openapi/v2`
    public static func v2() -> JSON { .null }
}
