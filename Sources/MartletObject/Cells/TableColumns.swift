/// The columns as data. A line is `Heading|type|priority|what it shows`.
enum TableColumns {
    static let standard = columns(
        "Name|string|0|The name, unique within the namespace.\nCreated At|date|0|When the object was made.")

    static let byKind: [String: [Table.Column]] = texts.mapValues(columns)

    private static func columns(_ text: String) -> [Table.Column] {
        text.split(separator: "\n").map { line in
            let parts = line.split(separator: "|").map(String.init)
            return Table.Column(
                name: parts[0], type: parts[1], format: parts[0] == "Name" ? "name" : "", about: parts[3],
                priority: Int(parts[2]) ?? 0)
        }
    }

    private static let name = "Name|string|0|The name, unique within the namespace.\n"
    private static let age = "Age|string|0|How long ago the object was made.\n"
    private static let templates = """
        Containers|string|1|The names of the template's containers.
        Images|string|1|The images of the template's containers.
        Selector|string|1|Which pods belong to it.
        """

    private static let replicas =
        name + """
            Desired|integer|0|Pods wanted.
            Current|integer|0|Pods there are.
            Ready|integer|0|Ready pods.
            \(age)\(templates)
            """
    private static let bindings =
        name + """
            Role|string|0|The role that is given.
            \(age)Users|string|1|The users that have it.
            Groups|string|1|The groups that have it.
            ServiceAccounts|string|1|The service accounts that have it.
            """
    private static let events = """
        Last Seen|string|0|How long ago it happened last.
        Type|string|0|Normal or Warning.
        Reason|string|0|What happened, in one word.
        Object|string|0|What it happened to.
        Subobject|string|1|The part of the object.
        Source|string|1|Who tells.
        Message|string|0|What happened, in a sentence.
        First Seen|string|1|How long ago it happened first.
        Count|string|1|How often it happened.
        Name|string|1|The event's name.
        """

    private static let texts: [String: String] = [
        "pods": name + """
            Ready|string|0|Ready containers of all containers.
            Status|string|0|The phase, or what keeps the pod from it.
            Restarts|string|0|How often its containers were restarted, and when last.
            \(age)IP|string|1|The pod's address.
            Node|string|1|The node it is bound to.
            Nominated Node|string|1|The node where room is being made for it.
            Readiness Gates|string|1|Conditions beside its containers that hold, of those asked for.
            """,
        "deployments.apps": name + """
            Ready|string|0|Ready pods of those wanted.
            Up-to-date|string|0|Pods of the newest template.
            Available|string|0|Pods that have been ready for long enough.
            \(age)\(templates)
            """,
        "replicasets.apps": replicas,
        "services": name + """
            Type|string|0|How the service is reached.
            Cluster-IP|string|0|Its address inside the cluster.
            External-IP|string|0|Its addresses outside of the cluster.
            Port(s)|string|0|Its ports.
            \(age)Selector|string|1|Which pods serve it.
            """,
        "nodes": name + """
            Status|string|0|Whether the node is ready and takes pods.
            Roles|string|0|Its roles.
            \(age)Version|string|0|The node agent's version.
            Internal-IP|string|1|Its address inside the cluster.
            External-IP|string|1|Its address outside of the cluster.
            OS-Image|string|1|Its operating system.
            Kernel-Version|string|1|Its kernel.
            Container-Runtime|string|1|Its container runtime.
            """,
        "customresourcedefinitions.apiextensions.k8s.io": "Name|string|0|The name, plural and group.\n"
            + "Created At|date|0|When the definition was made.",
        "namespaces": name + "Status|string|0|Whether it is active or ending.\n" + age,
        "events": events, "events.events.k8s.io": events,
        "ingresses.networking.k8s.io": name + """
            Class|string|0|The ingress class that serves it.
            Hosts|string|0|The hosts it routes.
            Address|string|0|The addresses that serve it.
            Ports|string|0|The ports that serve it.
            \(age)
            """,
        "ingressclasses.networking.k8s.io": name + """
            Controller|string|0|Who serves ingresses of this class.
            Parameters|string|0|Where the controller's parameters are.
            \(age)
            """,
        "endpointslices.discovery.k8s.io": name + """
            AddressType|string|0|The kind of addresses.
            Ports|string|0|The ports of all endpoints.
            Endpoints|string|0|The endpoints' first addresses.
            \(age)
            """,
        "secrets": name + "Type|string|0|What the secret is for.\nData|string|0|How many entries it has.\n" + age,
        "configmaps": name + "Data|string|0|How many entries it has.\n" + age,
        "serviceaccounts": name + "Secrets|string|0|How many secrets are listed in it.\n" + age,
        "leases.coordination.k8s.io": name + "Holder|string|0|Who holds the lease.\n" + age,
        "endpoints": name + "Endpoints|string|0|The addresses and ports that serve.\n" + age,
        "persistentvolumes": name + """
            Capacity|string|0|How much it holds.
            Access Modes|string|0|How it may be mounted.
            Reclaim Policy|string|0|What becomes of it when its claim goes.
            Status|string|0|Its phase.
            Claim|string|0|The claim that has it.
            StorageClass|string|0|Its storage class.
            VolumeAttributesClass|string|0|Its volume attributes class.
            Reason|string|0|Why it is in that phase.
            \(age)VolumeMode|string|1|Whether it is a file system or a block device.
            """,
        "persistentvolumeclaims": name + """
            Status|string|0|Its phase.
            Volume|string|0|The volume that it has.
            Capacity|string|0|How much that holds.
            Access Modes|string|0|How it may be mounted.
            StorageClass|string|0|Its storage class.
            VolumeAttributesClass|string|0|Its volume attributes class.
            \(age)VolumeMode|string|1|Whether it is a file system or a block device.
            """,
        "podtemplates": name + """
            Containers|string|0|The names of the template's containers.
            Images|string|0|The images of the template's containers.
            Pod Labels|string|0|The labels of its pods.
            """,
        "replicationcontrollers": replicas,
        "resourcequotas": name + """
            Request|string|0|What is used and allowed of all but limits.
            Limit|string|0|What is used and allowed of limits.
            \(age)
            """,
        "statefulsets.apps": name + """
            Ready|string|0|Ready pods of those wanted.
            \(age)Containers|string|1|The names of the template's containers.
            Images|string|1|The images of the template's containers.
            """,
        "daemonsets.apps": name + """
            Desired|integer|0|Nodes that should run a pod.
            Current|integer|0|Nodes that have the pod they should have.
            Ready|integer|0|Nodes whose pod is ready.
            Up-to-date|integer|0|Nodes whose pod is of the newest template.
            Available|integer|0|Nodes whose pod has been ready for long enough.
            Node Selector|string|0|Which nodes run a pod.
            \(age)\(templates)
            """,
        "controllerrevisions.apps": name + """
            Controller|string|0|Whose revision it is.
            Revision|string|0|Its number.
            \(age)
            """,
        "jobs.batch": name + """
            Status|string|0|What it is doing.
            Completions|string|0|Pods that succeeded of those wanted.
            Duration|string|0|How long it took, or has taken so far.
            \(age)\(templates)
            """,
        "cronjobs.batch": name + """
            Schedule|string|0|When it runs.
            Timezone|string|0|In which time zone.
            Suspend|boolean|0|Whether it is halted.
            Active|integer|0|Jobs that run now.
            Last Schedule|string|0|How long ago it ran last.
            \(age)\(templates)
            """,
        "networkpolicies.networking.k8s.io": name + "Pod-Selector|string|0|Which pods it is for.\n" + age,
        "ipaddresses.networking.k8s.io": name + "ParentRef|string|0|What has the address.\n" + age,
        "servicecidrs.networking.k8s.io": name + "CIDRs|string|0|The networks of services.\n" + age,
        "horizontalpodautoscalers.autoscaling": name + """
            Reference|string|0|What it scales.
            Targets|string|0|What is measured and what is aimed at.
            MinPods|string|0|The least pods.
            MaxPods|string|0|The most pods.
            Replicas|string|0|Pods there are.
            \(age)
            """,
        "scales.autoscaling": name + """
            Desired|integer|0|Pods wanted.
            Available|integer|0|Pods there are.
            \(age)
            """,
        "poddisruptionbudgets.policy": name + """
            Min Available|string|0|Pods that must stay.
            Max Unavailable|string|0|Pods that may be missing.
            Allowed Disruptions|integer|0|Pods that may go now.
            \(age)
            """,
        "rolebindings.rbac.authorization.k8s.io": bindings,
        "clusterrolebindings.rbac.authorization.k8s.io": bindings,
        "priorityclasses.scheduling.k8s.io": name + """
            Value|integer|0|The priority.
            Global-Default|boolean|0|Whether pods that name no class get this one.
            \(age)PreemptionPolicy|string|1|Whether its pods push others away.
            """,
        "runtimeclasses.node.k8s.io": name + "Handler|string|0|The runtime's name for it.\n" + age,
        "certificatesigningrequests.certificates.k8s.io": """
        Name|string|0|The name, unique in the cluster.
        \(age)SignerName|string|0|Who is to sign.
        Requestor|string|0|Who asks.
        RequestedDuration|string|0|For how long.
        Condition|string|0|What became of it.
        """,
        "storageclasses.storage.k8s.io": name + """
            Provisioner|string|0|Who makes its volumes.
            ReclaimPolicy|string|0|What becomes of a volume when its claim goes.
            VolumeBindingMode|string|0|When volumes are made and bound.
            AllowVolumeExpansion|string|0|Whether volumes may grow.
            \(age)
            """,
        "volumeattachments.storage.k8s.io": name + """
            Attacher|string|0|Who attaches.
            PV|string|0|The volume.
            Node|string|0|The node.
            Attached|boolean|0|Whether it is attached.
            \(age)
            """,
        "csidrivers.storage.k8s.io": name + """
            AttachRequired|boolean|0|Whether volumes are attached before they are mounted.
            PodInfoOnMount|boolean|0|Whether the driver is told of the pod.
            StorageCapacity|boolean|0|Whether the driver says how much room there is.
            TokenRequests|string|0|The audiences of the tokens it gets.
            RequiresRepublish|boolean|0|Whether mounts are made anew from time to time.
            Modes|string|0|The lives that its volumes may have.
            \(age)
            """,
        "csinodes.storage.k8s.io": name + "Drivers|integer|0|How many drivers the node has.\n" + age,
        "csistoragecapacities.storage.k8s.io": name + """
            StorageClassName|string|0|The storage class.
            Capacity|string|0|How much room there is.
            """,
        "volumeattributesclasses.storage.k8s.io": name + "DriverName|string|0|Whose driver it is for.\n" + age,
        "gatewayclasses.gateway.networking.k8s.io": name + """
            Controller|string|0|Who serves gateways of this class.
            Accepted|string|0|Whether the controller takes the class.
            \(age)Description|string|1|What the class is for.
            """,
        "gateways.gateway.networking.k8s.io": name + """
            Class|string|0|Its class.
            Address|string|0|The addresses that serve it.
            Programmed|string|0|Whether it is in effect.
            \(age)
            """,
        "httproutes.gateway.networking.k8s.io": name + "Hostnames|string|0|The hosts it routes.\n" + age,
        "grpcroutes.gateway.networking.k8s.io": name + "Hostnames|string|0|The hosts it routes.\n" + age,
        "backendtlspolicies.gateway.networking.k8s.io": name + age,
        "referencegrants.gateway.networking.k8s.io": name + age,
    ]
}
