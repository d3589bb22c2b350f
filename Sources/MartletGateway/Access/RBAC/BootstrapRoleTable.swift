/// The ClusterRoles that every cluster has, in the notation of ``BootstrapRoles``: those of kube-apiserver 1.36
/// (facts of `plugin/pkg/auth/authorizer/rbac/bootstrappolicy`), and those of our own parts.
extension BootstrapRoles {
    static let clusterRoleText = """
        # admin <admin
        # cluster-admin
        * * @*
        * url:*
        # edit +admin <edit
        # system:aggregate-to-admin +admin
        create localsubjectaccessreviews @authorization.k8s.io
        all rolebindings,roles @rbac.authorization.k8s.io
        # system:aggregate-to-edit +edit
        read pods/attach,pods/exec,pods/portforward,pods/proxy,secrets,services/proxy
        impersonate serviceaccounts
        write pods,pods/attach,pods/exec,pods/portforward,pods/proxy
        write configmaps,events,persistentvolumeclaims,replicationcontrollers,replicationcontrollers/scale,\
        secrets,serviceaccounts,services,services/proxy
        write daemonsets,deployments,deployments/rollback,deployments/scale,replicasets,replicasets/scale,\
        statefulsets,statefulsets/scale @apps
        write horizontalpodautoscalers @autoscaling
        write cronjobs,jobs @batch
        write daemonsets,deployments,deployments/rollback,deployments/scale,ingresses,networkpolicies,replicasets,\
        replicasets/scale,replicationcontrollers/scale @extensions
        write poddisruptionbudgets @policy
        write ingresses,networkpolicies @networking.k8s.io
        create pods/eviction
        create serviceaccounts/token
        all leases @coordination.k8s.io
        write resourceclaims,resourceclaimtemplates @resource.k8s.io
        # system:aggregate-to-view +view
        read configmaps,endpoints,persistentvolumeclaims,persistentvolumeclaims/status,pods,\
        replicationcontrollers,replicationcontrollers/scale,serviceaccounts,services,services/status
        read bindings,events,limitranges,namespaces/status,pods/log,pods/status,replicationcontrollers/status,\
        resourcequotas,resourcequotas/status
        read namespaces
        read controllerrevisions,daemonsets,daemonsets/status,deployments,deployments/scale,deployments/status,\
        replicasets,replicasets/scale,replicasets/status,statefulsets,statefulsets/scale,statefulsets/status @apps
        read horizontalpodautoscalers,horizontalpodautoscalers/status @autoscaling
        read cronjobs,cronjobs/status,jobs,jobs/status @batch
        read daemonsets,daemonsets/status,deployments,deployments/scale,deployments/status,ingresses,\
        ingresses/status,networkpolicies,replicasets,replicasets/scale,replicasets/status,\
        replicationcontrollers/scale @extensions
        read poddisruptionbudgets,poddisruptionbudgets/status @policy
        read ingresses,ingresses/status,networkpolicies @networking.k8s.io
        read endpointslices @discovery.k8s.io
        read resourceclaims,resourceclaims/status,resourceclaimtemplates @resource.k8s.io
        # system:auth-delegator
        create tokenreviews @authentication.k8s.io
        create subjectaccessreviews @authorization.k8s.io
        # system:basic-user
        create selfsubjectaccessreviews,selfsubjectrulesreviews @authorization.k8s.io
        create selfsubjectreviews @authentication.k8s.io
        # system:certificates.k8s.io:certificatesigningrequests:nodeclient
        create certificatesigningrequests/nodeclient @certificates.k8s.io
        # system:certificates.k8s.io:certificatesigningrequests:selfnodeclient
        create certificatesigningrequests/selfnodeclient @certificates.k8s.io
        # system:certificates.k8s.io:kube-apiserver-client-approver
        approve signers @certificates.k8s.io =kubernetes.io/kube-apiserver-client
        # system:certificates.k8s.io:kube-apiserver-client-kubelet-approver
        approve signers @certificates.k8s.io =kubernetes.io/kube-apiserver-client-kubelet
        # system:certificates.k8s.io:kubelet-serving-approver
        approve signers @certificates.k8s.io =kubernetes.io/kubelet-serving
        # system:certificates.k8s.io:legacy-unknown-approver
        approve signers @certificates.k8s.io =kubernetes.io/legacy-unknown
        # system:discovery
        get url:/api,/api/*,/apis,/apis/*,/healthz,/livez,/openapi,/openapi/*,/readyz,/version,/version/
        # system:heapster
        read events,namespaces,nodes,pods
        read deployments @extensions
        # system:kube-aggregator
        read endpoints,services
        # system:kube-controller-manager
        events
        create leases @coordination.k8s.io
        get,update leases @coordination.k8s.io =kube-controller-manager
        create secrets,serviceaccounts
        delete secrets
        get configmaps,namespaces,secrets,serviceaccounts
        update secrets,serviceaccounts
        create tokenreviews @authentication.k8s.io
        create subjectaccessreviews @authorization.k8s.io
        list,watch * @*
        create serviceaccounts/token
        # system:kube-dns
        list,watch endpoints,services
        list,watch endpointslices @discovery.k8s.io
        # system:kube-scheduler
        events
        create leases @coordination.k8s.io
        get,update leases @coordination.k8s.io =kube-scheduler
        read nodes
        read,delete pods
        create bindings,pods/binding
        update,patch pods/status
        read replicationcontrollers,services
        read replicasets @apps,extensions
        read statefulsets @apps
        read poddisruptionbudgets @policy
        read persistentvolumeclaims,persistentvolumes
        create tokenreviews @authentication.k8s.io
        create subjectaccessreviews @authorization.k8s.io
        read csinodes @storage.k8s.io
        read namespaces
        read csidrivers,csistoragecapacities,volumeattachments @storage.k8s.io
        read deviceclasses,resourceslices @resource.k8s.io
        read,update,patch resourceclaims @resource.k8s.io
        update,patch resourceclaims/status @resource.k8s.io
        update pods/finalizers
        # system:kubelet-api-admin
        read nodes
        proxy nodes
        * nodes/configz,nodes/healthz,nodes/log,nodes/metrics,nodes/pods,nodes/proxy,nodes/spec,nodes/stats
        # system:martlet:dns
        read namespaces,pods,services
        read endpointslices @discovery.k8s.io
        # system:martlet:edge
        read ingresses,ingressclasses @networking.k8s.io
        update,patch ingresses/status @networking.k8s.io
        read gatewayclasses,gateways,httproutes,referencegrants @gateway.networking.k8s.io
        update,patch gatewayclasses/status,gateways/status,httproutes/status @gateway.networking.k8s.io
        read namespaces,nodes,pods,secrets,services
        read endpointslices @discovery.k8s.io
        events
        # system:martlet:ingress
        read ingresses,ingressclasses @networking.k8s.io
        update,patch ingresses/status @networking.k8s.io
        read gatewayclasses,gateways,httproutes,referencegrants @gateway.networking.k8s.io
        read namespaces,nodes,pods,secrets,services
        read endpointslices @discovery.k8s.io
        events
        # system:martlet:machine
        post url:/martlet/v1/pki/reports
        # system:martlet:join
        post url:/martlet/v1/join
        # system:martlet:network-policy
        read namespaces,pods
        read networkpolicies @networking.k8s.io
        # system:martlet:worker
        read ingresses,ingressclasses @networking.k8s.io
        update,patch ingresses/status @networking.k8s.io
        read gatewayclasses,gateways,httproutes,referencegrants @gateway.networking.k8s.io
        update,patch gatewayclasses/status,gateways/status,httproutes/status @gateway.networking.k8s.io
        read namespaces,nodes,pods,services
        read endpointslices @discovery.k8s.io
        events
        # system:monitoring
        get url:/healthz,/healthz/*,/livez,/livez/*,/metrics,/metrics/slis,/readyz,/readyz/*
        # system:node
        create tokenreviews @authentication.k8s.io
        create localsubjectaccessreviews,subjectaccessreviews @authorization.k8s.io
        read services
        read,create nodes
        update,patch nodes/status
        update,patch nodes
        create,update,patch events
        read pods
        create,delete pods
        update,patch pods/status
        create pods/eviction
        read configmaps,secrets
        get persistentvolumeclaims,persistentvolumes
        read,create certificatesigningrequests @certificates.k8s.io
        get,create,update,patch,delete leases @coordination.k8s.io
        get volumeattachments @storage.k8s.io
        create serviceaccounts/token
        get,update,patch persistentvolumeclaims/status
        read csidrivers @storage.k8s.io
        get,create,update,patch,delete csinodes @storage.k8s.io
        read runtimeclasses @node.k8s.io
        get resourceclaims @resource.k8s.io
        all resourceslices @resource.k8s.io
        read clustertrustbundles @certificates.k8s.io
        # system:node-bootstrapper
        read,create certificatesigningrequests @certificates.k8s.io
        # system:node-problem-detector
        get nodes
        patch nodes/status
        events
        # system:node-proxier
        list,watch endpoints,services
        read nodes
        events
        list,watch endpointslices @discovery.k8s.io
        list,watch servicecidrs @networking.k8s.io
        # system:persistent-volume-provisioner
        read,create,delete persistentvolumes
        read,update persistentvolumeclaims
        read storageclasses @storage.k8s.io
        watch events
        events
        # system:public-info-viewer
        get url:/healthz,/livez,/readyz,/version,/version/
        # system:service-account-issuer-discovery
        get url:/.well-known/openid-configuration,/openid/v1/jwks
        # system:volume-scheduler
        read,update,patch persistentvolumes
        read storageclasses @storage.k8s.io
        read,update,patch persistentvolumeclaims
        # view +edit <view
        """

    /// The ClusterRoles of the controllers. Each is bound to the service account of its last name in `kube-system`.
    static let controllerRoleText = """
        # system:controller:attachdetach-controller
        list,watch persistentvolumeclaims,persistentvolumes
        read nodes
        update,patch nodes/status
        list,watch pods
        events
        read,create,delete volumeattachments @storage.k8s.io
        read csidrivers @storage.k8s.io
        read csinodes @storage.k8s.io
        # system:controller:certificate-controller
        read,delete certificatesigningrequests @certificates.k8s.io
        update certificatesigningrequests/approval,certificatesigningrequests/status @certificates.k8s.io
        approve signers @certificates.k8s.io =kubernetes.io/kube-apiserver-client-kubelet
        sign signers @certificates.k8s.io =kubernetes.io/kube-apiserver-client,\
        kubernetes.io/kube-apiserver-client-kubelet,kubernetes.io/kubelet-serving,kubernetes.io/legacy-unknown
        create subjectaccessreviews @authorization.k8s.io
        events
        # system:controller:clusterrole-aggregation-controller
        read,update,patch,escalate clusterroles @rbac.authorization.k8s.io
        # system:controller:cronjob-controller
        read,update cronjobs @batch
        read,create,update,patch,delete jobs @batch
        update cronjobs/status @batch
        update cronjobs/finalizers @batch
        list,watch,delete pods
        events
        # system:controller:daemon-set-controller
        read daemonsets @apps,extensions
        update daemonsets/status @apps,extensions
        update daemonsets/finalizers @apps,extensions
        list,watch nodes
        list,watch,create,patch,delete pods
        create pods/binding
        read,create,update,patch,delete controllerrevisions @apps
        events
        # system:controller:deployment-controller
        read,update deployments @apps,extensions
        update deployments/status @apps,extensions
        update deployments/finalizers @apps,extensions
        read,create,update,patch,delete replicasets @apps,extensions
        read,update pods
        events
        # system:controller:disruption-controller
        read deployments @apps,extensions
        read replicasets @apps,extensions
        read replicationcontrollers
        read poddisruptionbudgets @policy
        read statefulsets @apps
        update poddisruptionbudgets/status @policy
        get */scale @*
        events
        update,patch pods/status
        # system:controller:endpoint-controller
        read pods,services
        read,create,update,delete endpoints
        create endpoints/restricted
        events
        # system:controller:endpointslice-controller
        read nodes,pods,services
        update services/finalizers
        read,create,update,delete endpointslices @discovery.k8s.io
        events
        # system:controller:endpointslicemirroring-controller
        read endpoints,services
        update services/finalizers
        update endpoints/finalizers
        read,create,update,delete endpointslices @discovery.k8s.io
        events
        # system:controller:ephemeral-volume-controller
        read pods
        update pods/finalizers
        read,create persistentvolumeclaims
        events
        # system:controller:expand-controller
        read,update,patch persistentvolumes
        update,patch persistentvolumeclaims/status
        read persistentvolumeclaims
        events
        get services
        # system:controller:generic-garbage-collector
        read,update,patch,delete * @*
        events
        # system:controller:horizontal-pod-autoscaler
        read horizontalpodautoscalers @autoscaling
        update horizontalpodautoscalers/status @autoscaling
        get,update */scale @*
        list,watch pods
        list,watch pods @metrics.k8s.io
        read * @custom.metrics.k8s.io,external.metrics.k8s.io
        events
        # system:controller:job-controller
        read,update,patch jobs @batch
        update jobs/status @batch
        update jobs/finalizers @batch
        list,watch,create,patch,delete pods
        events
        # system:controller:legacy-service-account-token-cleaner
        get configmaps =kube-apiserver-legacy-service-account-token-tracking
        patch,delete secrets
        # system:controller:namespace-controller
        read,delete namespaces
        update namespaces/finalize,namespaces/status
        read,delete,deletecollection * @*
        # system:controller:node-controller
        read,update,patch,delete nodes
        update,patch nodes/status
        update,patch pods/status
        read,delete pods
        events
        # system:controller:persistent-volume-binder
        read,create,update,delete persistentvolumes
        update persistentvolumes/status
        read,update persistentvolumeclaims
        update persistentvolumeclaims/status
        read,create,delete pods
        read storageclasses @storage.k8s.io
        list,watch nodes
        watch events
        events
        get services
        # system:controller:pod-garbage-collector
        list,watch,delete pods
        read nodes
        patch pods/status
        # system:controller:pv-protection-controller
        read,update persistentvolumes
        events
        # system:controller:pvc-protection-controller
        read,update persistentvolumeclaims
        read pods
        events
        # system:controller:replicaset-controller
        read,update replicasets @apps,extensions
        update replicasets/status @apps,extensions
        update replicasets/finalizers @apps,extensions
        list,watch,create,patch,delete pods
        events
        # system:controller:replication-controller
        read,update replicationcontrollers
        update replicationcontrollers/status
        update replicationcontrollers/finalizers
        list,watch,create,patch,delete pods
        events
        # system:controller:resource-claim-controller
        read pods
        update pods/finalizers
        read,create,delete resourceclaims @resource.k8s.io
        update,patch resourceclaims,resourceclaims/status @resource.k8s.io
        update,patch pods/status
        events
        # system:controller:resourcequota-controller
        list,watch * @*
        update resourcequotas/status
        events
        # system:controller:root-ca-cert-publisher
        create,update configmaps
        events
        # system:controller:route-controller
        list,watch nodes
        patch nodes/status
        events
        # system:controller:selinux-warning-controller
        events
        read persistentvolumeclaims,persistentvolumes,pods
        read csidrivers @storage.k8s.io
        # system:controller:service-account-controller
        create serviceaccounts
        events
        # system:controller:service-cidrs-controller
        read,update,patch servicecidrs @networking.k8s.io
        update,patch servicecidrs/finalizers,servicecidrs/status @networking.k8s.io
        read ipaddresses @networking.k8s.io
        events
        # system:controller:service-controller
        read services
        update,patch services/status
        list,watch nodes
        events
        # system:controller:statefulset-controller
        list,watch pods
        read statefulsets @apps
        update statefulsets/status @apps
        update statefulsets/finalizers @apps
        get,create,update,patch,delete pods
        read,create,update,patch,delete controllerrevisions @apps
        read,create persistentvolumeclaims
        events
        update,delete persistentvolumeclaims
        update pods/finalizers
        # system:controller:ttl-after-finished-controller
        read,delete jobs @batch
        events
        # system:controller:ttl-controller
        list,watch,update,patch nodes
        events
        # system:controller:validatingadmissionpolicy-status-controller
        read validatingadmissionpolicies @admissionregistration.k8s.io
        get,update,patch validatingadmissionpolicies/status @admissionregistration.k8s.io
        events
        # system:controller:volumeattributesclass-protection-controller
        read persistentvolumeclaims,persistentvolumes
        read,update volumeattributesclasses @storage.k8s.io
        events
        """
}
