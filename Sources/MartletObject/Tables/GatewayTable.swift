extension SchemaTables {
    /// The fields of the Gateway API's standard kinds. They have no protobuf form.
    static let gateway = """
        package io.k8s.networking.gateway.v1 gateway.networking.k8s.io/v1
        GatewayClass kind
          metadata - ObjectMeta
          spec - GatewayClassSpec !
          status - GatewayClassStatus
        GatewayClassList kind
          metadata - ListMeta
          items - []GatewayClass !
        GatewayClassSpec
          controllerName - string !
          parametersRef - ParametersReference
          description - string
        ParametersReference
          group - string !
          kind - string !
          name - string !
          namespace - string
        GatewayClassStatus
          conditions - []Condition map=type
          supportedFeatures - []SupportedFeature map=name
        SupportedFeature
          name - string !
        Gateway kind
          metadata - ObjectMeta
          spec - GatewaySpec !
          status - GatewayStatus
        GatewayList kind
          metadata - ListMeta
          items - []Gateway !
        GatewaySpec
          gatewayClassName - string !
          listeners - []Listener ! map=name
          addresses - []GatewayAddress
          infrastructure - GatewayInfrastructure
        Listener
          name - string !
          hostname - string
          port - int32 !
          protocol - string !
          tls - ListenerTLS
          allowedRoutes - AllowedRoutes ={"namespaces":{"from":"Same"}}
        ListenerTLS
          mode - TLSMode ~"Terminate"
          certificateRefs - []SecretObjectReference
          options - {}string
        SecretObjectReference
          group - *string =""
          kind - string ~"Secret"
          name - string !
          namespace - string
        AllowedRoutes
          namespaces - RouteNamespaces ={"from":"Same"}
          kinds - []RouteGroupKind
        RouteNamespaces
          from - FromNamespaces ~"Same"
          selector - LabelSelector
        RouteGroupKind
          group - *string ="gateway.networking.k8s.io"
          kind - string !
        GatewayAddress
          type - string ~"IPAddress"
          value - string
        GatewayInfrastructure
          labels - {}string
          annotations - {}string
          parametersRef - LocalParametersReference
        LocalParametersReference
          group - string !
          kind - string !
          name - string !
        GatewayStatus
          addresses - []GatewayAddress
          conditions - []Condition map=type
          listeners - []ListenerStatus map=name
        ListenerStatus
          name - string !
          supportedKinds - []RouteGroupKind
          attachedRoutes - int32 !
          conditions - []Condition ! map=type
        HTTPRoute kind
          metadata - ObjectMeta
          spec - HTTPRouteSpec !
          status - RouteStatus
        HTTPRouteList kind
          metadata - ListMeta
          items - []HTTPRoute !
        HTTPRouteSpec
          parentRefs - []ParentReference
          hostnames - []string
          rules - []HTTPRouteRule =[{"matches":[{"path":{"type":"PathPrefix","value":"/"}}]}]
        ParentReference
          group - *string ="gateway.networking.k8s.io"
          kind - string ~"Gateway"
          namespace - string
          name - string !
          sectionName - string
          port - int32
        HTTPRouteRule
          name - string
          matches - []HTTPRouteMatch =[{"path":{"type":"PathPrefix","value":"/"}}]
          filters - []HTTPRouteFilter
          backendRefs - []HTTPBackendRef
          timeouts - HTTPRouteTimeouts
        HTTPRouteMatch
          path - HTTPPathMatch ={"type":"PathPrefix","value":"/"}
          headers - []HTTPMatchPair map=name
          queryParams - []HTTPMatchPair map=name
          method - HTTPMethod
        HTTPPathMatch
          type - PathMatchType ~"PathPrefix"
          value - *string ="/"
        HTTPMatchPair
          type - PairMatchType ~"Exact"
          name - string !
          value - string !
        HTTPRouteFilter
          type - HTTPRouteFilterType !
          requestHeaderModifier - HTTPHeaderFilter
          responseHeaderModifier - HTTPHeaderFilter
          requestMirror - RequestMirrorFilter
          requestRedirect - RequestRedirectFilter
          urlRewrite - URLRewriteFilter
          extensionRef - LocalObjectReference
        HTTPHeaderFilter
          set - []HeaderValue map=name
          add - []HeaderValue map=name
          remove - []string set
        HeaderValue
          name - string !
          value - string !
        RequestMirrorFilter
          backendRef - BackendObjectReference !
          percent - *int32
          fraction - Fraction
        Fraction
          numerator - int32 !
          denominator - int32 ~100
        RequestRedirectFilter
          scheme - RedirectScheme
          hostname - string
          path - HTTPPathModifier
          port - int32
          statusCode - int32 ~302
        URLRewriteFilter
          hostname - string
          path - HTTPPathModifier
        HTTPPathModifier
          type - PathModifierType !
          replaceFullPath - *string
          replacePrefixMatch - *string
        LocalObjectReference
          group - string !
          kind - string !
          name - string !
        BackendObjectReference
          group - *string =""
          kind - string ~"Service"
          name - string !
          namespace - string
          port - int32
        HTTPBackendRef
          group - *string =""
          kind - string ~"Service"
          name - string !
          namespace - string
          port - int32
          weight - *int32 =1
          filters - []HTTPRouteFilter
        HTTPRouteTimeouts
          request - string
          backendRequest - string
        RouteStatus
          parents - []RouteParentStatus !
        RouteParentStatus
          parentRef - ParentReference !
          controllerName - string !
          conditions - []Condition map=type
        GRPCRoute kind
          metadata - ObjectMeta
          spec - GRPCRouteSpec !
          status - RouteStatus
        GRPCRouteList kind
          metadata - ListMeta
          items - []GRPCRoute !
        GRPCRouteSpec
          parentRefs - []ParentReference
          hostnames - []string
          rules - []GRPCRouteRule
        GRPCRouteRule
          name - string
          matches - []GRPCRouteMatch
          filters - []GRPCRouteFilter
          backendRefs - []GRPCBackendRef
        GRPCRouteMatch
          method - GRPCMethodMatch
          headers - []HTTPMatchPair map=name
        GRPCMethodMatch
          type - PairMatchType ~"Exact"
          service - string
          method - string
        GRPCRouteFilter
          type - GRPCRouteFilterType !
          requestHeaderModifier - HTTPHeaderFilter
          responseHeaderModifier - HTTPHeaderFilter
          requestMirror - RequestMirrorFilter
          extensionRef - LocalObjectReference
        GRPCBackendRef
          group - *string =""
          kind - string ~"Service"
          name - string !
          namespace - string
          port - int32
          weight - *int32 =1
          filters - []GRPCRouteFilter
        BackendTLSPolicy kind
          metadata - ObjectMeta
          spec - BackendTLSPolicySpec !
          status - PolicyStatus
        BackendTLSPolicyList kind
          metadata - ListMeta
          items - []BackendTLSPolicy !
        BackendTLSPolicySpec
          targetRefs - []PolicyTargetReference !
          validation - BackendTLSPolicyValidation !
          options - {}string
        PolicyTargetReference
          group - string !
          kind - string !
          name - string !
          sectionName - string
        BackendTLSPolicyValidation
          caCertificateRefs - []LocalObjectReference
          wellKnownCACertificates - string
          hostname - string !
          subjectAltNames - []SubjectAltName
        SubjectAltName
          type - SubjectAltNameType !
          hostname - string
          uri - string
        PolicyStatus
          ancestors - []PolicyAncestorStatus !
        PolicyAncestorStatus
          ancestorRef - ParentReference !
          controllerName - string !
          conditions - []Condition ! map=type
        ReferenceGrant kind
          metadata - ObjectMeta
          spec - ReferenceGrantSpec
        ReferenceGrantList kind
          metadata - ListMeta
          items - []ReferenceGrant !
        ReferenceGrantSpec
          from - []ReferenceGrantFrom !
          to - []ReferenceGrantTo !
        ReferenceGrantFrom
          group - string !
          kind - string !
          namespace - string !
        ReferenceGrantTo
          group - string !
          kind - string !
          name - string
        FromNamespaces: enum All None Same Selector
        GRPCRouteFilterType: enum ExtensionRef RequestHeaderModifier RequestMirror ResponseHeaderModifier
        HTTPMethod: enum CONNECT DELETE GET HEAD OPTIONS PATCH POST PUT TRACE
        HTTPRouteFilterType: string
        PairMatchType: enum Exact RegularExpression
        PathMatchType: enum Exact PathPrefix RegularExpression
        PathModifierType: enum ReplaceFullPath ReplacePrefixMatch
        RedirectScheme: enum http https
        SubjectAltNameType: enum Hostname URI
        TLSMode: enum Passthrough Terminate
        package io.k8s.networking.gateway.v1beta1 gateway.networking.k8s.io/v1beta1
        GatewayClass kind
          metadata - ObjectMeta
          spec - GatewayClassSpec !
          status - GatewayClassStatus
        GatewayClassList kind
          metadata - ListMeta
          items - []GatewayClass !
        Gateway kind
          metadata - ObjectMeta
          spec - GatewaySpec !
          status - GatewayStatus
        GatewayList kind
          metadata - ListMeta
          items - []Gateway !
        HTTPRoute kind
          metadata - ObjectMeta
          spec - HTTPRouteSpec !
          status - RouteStatus
        HTTPRouteList kind
          metadata - ListMeta
          items - []HTTPRoute !
        ReferenceGrant kind
          metadata - ObjectMeta
          spec - ReferenceGrantSpec
        ReferenceGrantList kind
          metadata - ListMeta
          items - []ReferenceGrant !
        """
}
