extension SchemaTables {
    /// The fields of certificate signing requests.
    static let certificates = """
        package io.k8s.api.certificates.v1 certificates.k8s.io/v1
        CertificateSigningRequest kind
          metadata 1 ObjectMeta
          spec 2 CertificateSigningRequestSpec !
          status 3 CertificateSigningRequestStatus
        CertificateSigningRequestSpec
          request 1 bytes !
          signerName 7 string !
          expirationSeconds 8 *int32
          usages 5 []KeyUsage
          username 2 string
          uid 3 string
          groups 4 []string
          extra 6 {}ExtraValue
        CertificateSigningRequestStatus
          conditions 1 []CertificateSigningRequestCondition map=type
          certificate 2 bytes
        CertificateSigningRequestCondition
          type 1 RequestConditionType !
          status 6 ConditionStatus !
          reason 2 string
          message 3 string
          lastUpdateTime 4 time
          lastTransitionTime 5 time
        CertificateSigningRequestList kind
          metadata 1 ListMeta
          items 2 []CertificateSigningRequest !
        ExtraValue: []string
        KeyUsage: string
        RequestConditionType: string
        """
}
