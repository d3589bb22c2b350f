extension SchemaTables {
    /// The fields of the kinds that ask the gateway who somebody is.
    static let authentication = """
        package io.k8s.api.authentication.v1 authentication.k8s.io/v1
        ExtraValue: []string
        UserInfo
          username 1 string
          uid 2 string
          groups 3 []string
          extra 4 {}ExtraValue
        TokenReview kind
          metadata 1 ObjectMeta
          spec 2 TokenReviewSpec !
          status 3 TokenReviewStatus
        TokenReviewSpec
          token 1 string
          audiences 2 []string
        TokenReviewStatus
          authenticated 1 bool
          user 2 UserInfo
          audiences 4 []string
          error 3 string
        SelfSubjectReview kind
          metadata 1 ObjectMeta
          status 2 SelfSubjectReviewStatus
        SelfSubjectReviewStatus
          userInfo 1 UserInfo
        TokenRequest kind
          metadata 1 ObjectMeta
          spec 2 TokenRequestSpec !
          status 3 TokenRequestStatus
        TokenRequestSpec
          audiences 1 []string !
          expirationSeconds 4 *int64 =3600
          boundObjectRef 3 BoundObjectReference
        BoundObjectReference
          kind 1 string
          apiVersion 2 string
          name 3 string
          uid 4 string
        TokenRequestStatus
          token 1 string !
          expirationTimestamp 2 time !
        """

    /// The fields of the kinds that ask the gateway who may do what.
    static let authorization = """
        package io.k8s.api.authorization.v1 authorization.k8s.io/v1
        ExtraValue: []string
        SubjectAccessReview kind
          metadata 1 ObjectMeta
          spec 2 SubjectAccessReviewSpec !
          status 3 SubjectAccessReviewStatus
        LocalSubjectAccessReview kind
          metadata 1 ObjectMeta
          spec 2 SubjectAccessReviewSpec !
          status 3 SubjectAccessReviewStatus
        SelfSubjectAccessReview kind
          metadata 1 ObjectMeta
          spec 2 SelfSubjectAccessReviewSpec !
          status 3 SubjectAccessReviewStatus
        SelfSubjectRulesReview kind
          metadata 1 ObjectMeta
          spec 2 SelfSubjectRulesReviewSpec !
          status 3 SubjectRulesReviewStatus
        SubjectAccessReviewSpec
          resourceAttributes 1 ResourceAttributes
          nonResourceAttributes 2 NonResourceAttributes
          user 3 string
          groups 4 []string
          extra 5 {}ExtraValue
          uid 6 string
        SelfSubjectAccessReviewSpec
          resourceAttributes 1 ResourceAttributes
          nonResourceAttributes 2 NonResourceAttributes
        ResourceAttributes
          namespace 1 string
          verb 2 string
          group 3 string
          version 4 string
          resource 5 string
          subresource 6 string
          name 7 string
          fieldSelector 8 FieldSelectorAttributes
          labelSelector 9 LabelSelectorAttributes
        FieldSelectorAttributes
          rawSelector 1 string
          requirements 2 []FieldSelectorRequirement
        FieldSelectorRequirement
          key 1 string !
          operator 2 string !
          values 3 []string
        LabelSelectorAttributes
          rawSelector 1 string
          requirements 2 []LabelSelectorRequirement
        NonResourceAttributes
          path 1 string
          verb 2 string
        SubjectAccessReviewStatus
          allowed 1 bool !
          denied 4 bool
          reason 2 string
          evaluationError 3 string
        SelfSubjectRulesReviewSpec
          namespace 1 string
        SubjectRulesReviewStatus
          resourceRules 1 []ResourceRule !
          nonResourceRules 2 []NonResourceRule !
          incomplete 3 bool !
          evaluationError 4 string
        ResourceRule
          verbs 1 []string !
          apiGroups 2 []string
          resources 3 []string
          resourceNames 4 []string
        NonResourceRule
          verbs 1 []string !
          nonResourceURLs 2 []string
        """
}
