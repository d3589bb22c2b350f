extension SchemaTables {
    /// The fields of roles and their bindings.
    static let access = """
        package io.k8s.api.rbac.v1 rbac.authorization.k8s.io/v1
        PolicyRule
          verbs 1 []string !
          apiGroups 2 []string
          resources 3 []string
          resourceNames 4 []string
          nonResourceURLs 5 []string
        Subject
          kind 1 string !
          apiGroup 2 string
          name 3 string !
          namespace 4 string
        RoleRef
          apiGroup 1 string ~"rbac.authorization.k8s.io"
          kind 2 string !
          name 3 string !
        Role kind
          metadata 1 ObjectMeta
          rules 2 []PolicyRule
        RoleBinding kind
          metadata 1 ObjectMeta
          subjects 2 []Subject
          roleRef 3 RoleRef !
        RoleBindingList kind
          metadata 1 ListMeta
          items 2 []RoleBinding !
        RoleList kind
          metadata 1 ListMeta
          items 2 []Role !
        ClusterRole kind
          metadata 1 ObjectMeta
          rules 2 []PolicyRule
          aggregationRule 3 AggregationRule
        AggregationRule
          clusterRoleSelectors 1 []LabelSelector
        ClusterRoleBinding kind
          metadata 1 ObjectMeta
          subjects 2 []Subject
          roleRef 3 RoleRef !
        ClusterRoleBindingList kind
          metadata 1 ListMeta
          items 2 []ClusterRoleBinding !
        ClusterRoleList kind
          metadata 1 ListMeta
          items 2 []ClusterRole !
        """
}
