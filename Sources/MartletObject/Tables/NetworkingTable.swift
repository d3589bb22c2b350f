extension SchemaTables {
    /// The fields of ingresses and their classes.
    static let networking = """
        package io.k8s.api.networking.v1 networking.k8s.io/v1
        Ingress kind
          metadata ObjectMeta
          spec IngressSpec
          status IngressStatus
        IngressList kind
          metadata ListMeta
          items []Ingress !
        IngressSpec
          ingressClassName string
          defaultBackend IngressBackend
          tls []IngressTLS
          rules []IngressRule
        IngressTLS
          hosts []string
          secretName string
        IngressStatus
          loadBalancer IngressLoadBalancerStatus
        IngressLoadBalancerStatus
          ingress []IngressLoadBalancerIngress
        IngressLoadBalancerIngress
          ip string
          hostname string
          ports []IngressPortStatus
        IngressPortStatus
          port int32 !
          protocol Protocol !
          error string
        IngressRule
          host string
          http HTTPIngressRuleValue
        HTTPIngressRuleValue
          paths []HTTPIngressPath !
        HTTPIngressPath
          path string
          pathType PathType !
          backend IngressBackend !
        IngressBackend
          service IngressServiceBackend
          resource TypedLocalObjectReference
        IngressServiceBackend
          name string !
          port ServiceBackendPort
        ServiceBackendPort
          name string
          number int32
        IngressClass kind
          metadata ObjectMeta
          spec IngressClassSpec
        IngressClassSpec
          controller string
          parameters IngressClassParametersReference
        IngressClassParametersReference
          apiGroup string
          kind string !
          name string !
          scope string ="Cluster"
          namespace string
        IngressClassList kind
          metadata ListMeta
          items []IngressClass !
        PathType: enum Exact ImplementationSpecific Prefix
        """
}
