/// The rows of kinds that are questions to the gateway: they are created, answered, and stored nowhere.
extension ResourceKind {
    private static func review(_ group: String, _ kind: String, isNamespaced: Bool = false) -> ResourceKind {
        ResourceKind(
            group, "v1", kind, "\(kind.lowercased())s", isNamespaced: isNamespaced, verbs: ["create"])
    }

    /// `tokenreviews.authentication.k8s.io`: whom a token stands for
    public static let tokenReview = review("authentication.k8s.io", "TokenReview")
    /// `selfsubjectreviews.authentication.k8s.io`: who I am
    public static let selfSubjectReview = review("authentication.k8s.io", "SelfSubjectReview")
    /// `subjectaccessreviews.authorization.k8s.io`: whether somebody may
    public static let subjectAccessReview = review("authorization.k8s.io", "SubjectAccessReview")
    /// `selfsubjectaccessreviews.authorization.k8s.io`: whether I may
    public static let selfSubjectAccessReview = review("authorization.k8s.io", "SelfSubjectAccessReview")
    /// `selfsubjectrulesreviews.authorization.k8s.io`: what I may
    public static let selfSubjectRulesReview = review("authorization.k8s.io", "SelfSubjectRulesReview")
    /// `localsubjectaccessreviews.authorization.k8s.io`: whether somebody may, in one namespace
    public static let localSubjectAccessReview = review(
        "authorization.k8s.io", "LocalSubjectAccessReview", isNamespaced: true)

    static let reviews: [ResourceKind] = [
        .tokenReview, .selfSubjectReview, .subjectAccessReview, .selfSubjectAccessReview, .selfSubjectRulesReview,
        .localSubjectAccessReview,
    ]
}
