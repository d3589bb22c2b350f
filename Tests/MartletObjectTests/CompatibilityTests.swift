import Foundation
import MartletObject
import Testing

/// `docs/compatibility.md` is made of the tables. `make compatibility` writes it anew.
@Suite struct CompatibilityTests {
    private static let file = URL(fileURLWithPath: #filePath)
        .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
        .appendingPathComponent("docs/compatibility.md")

    @Test func thePageSaysWhatTheTablesSay() throws {
        let page = Self.page()
        if ProcessInfo.processInfo.environment["MARTLET_UPDATE_DOCS"] != nil {
            try page.write(to: Self.file, atomically: true, encoding: .utf8)
        }
        let written = try String(contentsOf: Self.file, encoding: .utf8)
        #expect(written == page, "docs/compatibility.md is behind the tables: make compatibility")
    }

    private static let head = """
        # Kinds and verbs

        What the gateway serves, at Kubernetes' API level 1.36. This page is made from the tables that the gateway works
        by (`make compatibility`), and a test holds them equal. A kind with more than one row of versions is one set of
        objects, read and written in either form. Custom resources have all verbs of their definitions.

        Not served: `componentstatuses` (deprecated), `admissionregistration.k8s.io` and
        `flowcontrol.apiserver.k8s.io` (nothing would act on their objects yet), `resource.k8s.io`, alpha and beta
        versions but for the Gateway API's, and answers in protobuf (bodies in it are read). A watch from a revision of
        the future is refused with 504, as a list is, where upstream waits: after a restored snapshot that revision
        would not come for long.

        Served is not acted upon. Controllers act on Deployments, ReplicaSets, Services, Namespaces, Nodes, owner
        references, service accounts and disruption budgets, the data plane on Ingresses. Objects of other kinds are
        checked, kept and told to watchers; what makes pods of Jobs, StatefulSets and DaemonSets, binds claims or
        scales comes later, and whoever creates one of these is told so (`Warning`). Addresses of services are drawn
        from `--service-cidr`, whatever ServiceCIDRs say. Of a Service EndpointSlices are made, and no Endpoints.
        `kubectl explain` knows all fields and their types; it describes kinds and the fields that most people look up.

        `services/proxy` and `pods/proxy` work on masters that are workers, too (`--also worker`): others have no
        routes to pods.

        """

    private static let verbs = ResourceKind.standardVerbs

    private static func page() -> String {
        var page = head
        var groups: [String] = []
        for kind in ResourceKind.all where !groups.contains(kind.group) { groups.append(kind.group) }
        for group in groups {
            page += "\n## \(group.isEmpty ? "The core group" : group)\n\n"
            page += "| Resource | Kind | Version | Scope | Short | \(verbs.joined(separator: " | ")) |\n"
            page += "|---|---|---|---|---|\(String(repeating: "---|", count: verbs.count))\n"
            for kind in ResourceKind.all where kind.group == group { page += rows(of: kind) }
        }
        return page
    }

    private static func rows(of kind: ResourceKind) -> String {
        func row(_ cells: [String], _ has: [String]) -> String {
            let marks = verbs.map { has.contains($0) ? "yes" : "" }
            return "| \((cells + marks).joined(separator: " | ")) |\n"
        }
        let scope = kind.isNamespaced ? "namespace" : "cluster"
        let short = kind.shortNames.joined(separator: ", ")
        var text = row(["`\(kind.plural)`", kind.kind, kind.version, scope, short], kind.verbs)
        for name in kind.subresources {
            guard let subresource = Subresource.table[name] else { continue }
            let body = subresource.kind(of: kind)
            text += row(["`\(kind.plural)/\(name)`", body, kind.version, scope, ""], subresource.verbs)
        }
        return text
    }
}
