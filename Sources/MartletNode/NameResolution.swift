internal import MartletIO
internal import MartletPods

/// What a pod's resolv.conf says.
struct NameResolution: Sendable, Hashable {
    var servers: [String] = []
    var searches: [String] = []
    var options: [String] = []

    /// At most this many name servers are written: resolvers read no more.
    static let serverLimit = 3
    /// At most this many search domains are written (kubelet's limit).
    static let searchLimit = 32

    /// Reads resolv.conf(5).
    init(parsing text: String) {
        for line in text.split(separator: "\n") {
            let words = line.split(whereSeparator: { $0 == " " || $0 == "\t" }).map(String.init)
            switch words.first {
            case "nameserver": servers += words.dropFirst().prefix(1)
            case "search", "domain": searches = Array(words.dropFirst())
            case "options": options += words.dropFirst()
            default: continue
            }
        }
    }

    init() {}

    /// What a pod gets by its `dnsPolicy` and `dnsConfig`.
    static func of(_ spec: PodSpec, configuration: NodeAgentConfiguration) -> NameResolution {
        var names = NameResolution()
        if spec.dnsPolicy != "None" {
            let text = (try? Files.read(configuration.resolvConf)).map { String(decoding: $0, as: UTF8.self) } ?? ""
            names = NameResolution(parsing: text)
        }
        let wantsCluster =
            spec.dnsPolicy == "ClusterFirstWithHostNet" || (spec.dnsPolicy == "ClusterFirst" && !spec.hostNetwork)
        if wantsCluster, !configuration.clusterDNS.isEmpty {
            let domain = configuration.clusterDomain
            names.servers = configuration.clusterDNS
            names.searches = ["\(spec.namespace).svc.\(domain)", "svc.\(domain)", domain] + names.searches
            names.options = ["ndots:5"]
        }
        names.servers = spec.dnsServers + names.servers
        names.searches = spec.dnsSearches + names.searches
        // An option of the pod replaces the one of the same name.
        let key: (String) -> Substring = { $0.prefix { $0 != ":" } }
        let replaced = Set(spec.dnsOptions.map(key))
        names.options = names.options.filter { !replaced.contains(key($0)) } + spec.dnsOptions
        names.servers = Array(unique(names.servers).prefix(serverLimit))
        names.searches = Array(unique(names.searches).prefix(searchLimit))
        return names
    }

    private static func unique(_ words: [String]) -> [String] {
        var seen: Set<String> = []
        return words.filter { seen.insert($0).inserted }
    }
}
