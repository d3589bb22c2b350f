extension SchemaTables {
    /// The fields of priority classes and runtime classes.
    static let scheduling = """
        package io.k8s.api.scheduling.v1 scheduling.k8s.io/v1
        PriorityClass kind
          metadata 1 ObjectMeta
          value 2 int32
          globalDefault 3 bool
          description 4 string
          preemptionPolicy 5 *PreemptionPolicy ="PreemptLowerPriority"
        PriorityClassList kind
          metadata 1 ListMeta
          items 2 []PriorityClass !
        package io.k8s.api.node.v1 node.k8s.io/v1
        RuntimeClass kind
          metadata 1 ObjectMeta
          handler 2 string !
          overhead 3 Overhead
          scheduling 4 Scheduling
        Overhead
          podFixed 1 ResourceList
        Scheduling
          nodeSelector 1 {}string atomic
          tolerations 2 []Toleration
        RuntimeClassList kind
          metadata 1 ListMeta
          items 2 []RuntimeClass !
        """
}
