internal import MartletObject

/// Whether somebody may do something to a signer, by its name or for all of its domain.
private func may(
    _ verb: String, signer: String, _ review: AdmissionReview, _ cluster: any ClusterFacts
) async throws(APIError) -> Bool {
    var request = AccessRequest(identity: review.identity, verb: verb)
    request.group = "certificates.k8s.io"
    request.resource = "signers"
    let domain = String(signer.prefix { $0 != "/" })
    for name in [signer, "\(domain)/*"] {
        request.name = name
        if try await cluster.decide(request).isAllowed { return true }
    }
    return false
}

/// Only those who may `approve` for a signer approve its requests: upstream's plugin CertificateApproval.
struct CertificateApproval: AdmissionPlugin {
    let name = "CertificateApproval"

    func concerns(_ review: AdmissionReview) -> Bool {
        review.kind == .certificateSigningRequest && review.operation == .update
            && review.target.subresource == "approval"
    }

    func admit(_ review: inout AdmissionReview, _ cluster: any ClusterFacts) async throws(APIError) {
        let signer = review.old?["spec", "signerName"]?.string ?? ""
        guard try await may("approve", signer: signer, review, cluster) else {
            throw review.forbidden("user not permitted to approve requests with signerName \"\(signer)\"")
        }
    }
}

/// Only those who may `sign` for a signer put certificates into its requests: upstream's plugin CertificateSigning.
struct CertificateSigning: AdmissionPlugin {
    let name = "CertificateSigning"

    func concerns(_ review: AdmissionReview) -> Bool {
        review.kind == .certificateSigningRequest && review.operation == .update
            && review.target.subresource == "status"
    }

    func admit(_ review: inout AdmissionReview, _ cluster: any ClusterFacts) async throws(APIError) {
        let before = review.old?["status"] ?? [:]
        let after = review.object["status"] ?? [:]
        let isSame = ["certificate", "conditions"].allSatisfy { before[$0] == after[$0] }
        if isSame { return }
        let signer = review.old?["spec", "signerName"]?.string ?? ""
        guard try await may("sign", signer: signer, review, cluster) else {
            throw review.forbidden("user not permitted to sign requests with signerName \"\(signer)\"")
        }
    }
}

/// A request for a certificate says who made it: signers go by that, so nobody can say it for themselves. (Upstream's
/// strategy of the kind.)
struct CertificateRequester: AdmissionPlugin {
    let name = "CertificateRequester"

    func concerns(_ review: AdmissionReview) -> Bool {
        review.kind == .certificateSigningRequest && review.operation == .create
            && review.target.subresource.isEmpty
    }

    func admit(_ review: inout AdmissionReview, _ cluster: any ClusterFacts) async throws(APIError) {
        let info = review.identity.userInfo
        for field in ["username", "uid", "groups", "extra"] { review.object["spec", field] = info[field] }
    }
}

/// Nobody gets a certificate of the group `system:masters`: upstream's plugin CertificateSubjectRestriction.
struct CertificateSubjectRestriction: AdmissionPlugin {
    let name = "CertificateSubjectRestriction"

    func concerns(_ review: AdmissionReview) -> Bool {
        review.kind == .certificateSigningRequest && review.operation == .create
            && review.target.subresource.isEmpty
            && review.object["spec", "signerName"] == "kubernetes.io/kube-apiserver-client"
    }

    func admit(_ review: inout AdmissionReview, _ cluster: any ClusterFacts) async throws(APIError) {
        let bytes = review.object["spec", "request"]?.string.flatMap { PEMText.bytes(ofBase64: $0) } ?? []
        // The name of a group stands in a request as it is: a look for its letters is enough, and errs on the safe
        // side.
        let wanted = Array(Identity.masters.utf8)
        guard bytes.count >= wanted.count else { return }
        for start in 0...(bytes.count - wanted.count) where bytes[start..<start + wanted.count].elementsEqual(wanted) {
            throw review.forbidden(
                "use of kubernetes.io/kube-apiserver-client signer with system:masters group is not allowed")
        }
    }
}
