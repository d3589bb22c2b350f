/// The rows of the Gateway API's standard kinds. Those that clients still ask for as `v1beta1` have a row for that,
/// too: the same objects under another version.
extension ResourceKind {
    private static let gatewayGroup = "gateway.networking.k8s.io"

    /// A row of a version that is only another name for `v1`.
    private static func gatewayRow(
        _ version: String, _ kind: String, _ plural: String, short: [String] = [], isNamespaced: Bool = true,
        _ subresources: [String] = ["status"]
    ) -> ResourceKind {
        ResourceKind(
            gatewayGroup, version, kind, plural, short: short, in: ["gateway-api"], isNamespaced: isNamespaced,
            subresources,
            stored: version == "v1" ? nil : StoredForm(group: gatewayGroup, version: "v1", conversion: .apiVersion))
    }

    /// `gatewayclasses.gateway.networking.k8s.io`
    public static let gatewayClass = gatewayRow(
        "v1", "GatewayClass", "gatewayclasses", short: ["gc"], isNamespaced: false)
    /// `gateways.gateway.networking.k8s.io`
    public static let gateway = gatewayRow("v1", "Gateway", "gateways", short: ["gtw"])
    /// `httproutes.gateway.networking.k8s.io`
    public static let httpRoute = gatewayRow("v1", "HTTPRoute", "httproutes")
    /// `grpcroutes.gateway.networking.k8s.io`
    public static let grpcRoute = gatewayRow("v1", "GRPCRoute", "grpcroutes")
    /// `backendtlspolicies.gateway.networking.k8s.io`
    public static let backendTLSPolicy = gatewayRow(
        "v1", "BackendTLSPolicy", "backendtlspolicies", short: ["btlspolicy"])
    /// `referencegrants.gateway.networking.k8s.io`
    public static let referenceGrant = gatewayRow("v1", "ReferenceGrant", "referencegrants", short: ["refgrant"], [])

    static let gatewayAPI: [ResourceKind] = [
        .gatewayClass, .gateway, .httpRoute, .grpcRoute, .backendTLSPolicy, .referenceGrant,
        gatewayRow("v1beta1", "GatewayClass", "gatewayclasses", short: ["gc"], isNamespaced: false),
        gatewayRow("v1beta1", "Gateway", "gateways", short: ["gtw"]),
        gatewayRow("v1beta1", "HTTPRoute", "httproutes"),
        gatewayRow("v1beta1", "ReferenceGrant", "referencegrants", short: ["refgrant"], []),
    ]
}
