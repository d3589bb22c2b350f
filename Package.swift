// swift-tools-version: 6.2
import PackageDescription

// Martlet's floors, from the ground up. A room may import what its row names and nothing else; the build enforces it
// with `--explicit-target-dependency-import-check error` (see docs/ARCHITECTURE.md).

let swiftSettings: [SwiftSetting] = [
    .swiftLanguageMode(.v6),
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("InternalImportsByDefault"),
    .enableUpcomingFeature("MemberImportVisibility"),
    .enableUpcomingFeature("NonisolatedNonsendingByDefault"),
    .treatAllWarnings(as: .error),
]
let cSettings: [CSetting] = [
    .enableWarning("all"),
    .enableWarning("extra"),
    .treatAllWarnings(as: .error),
    .define("_GNU_SOURCE"),
]

let log: Target.Dependency = .product(name: "Logging", package: "swift-log")
let httpTypes: Target.Dependency = .product(name: "HTTPTypes", package: "swift-http-types")
let ordered: Target.Dependency = .product(name: "OrderedCollections", package: "swift-collections")
let deques: Target.Dependency = .product(name: "DequeModule", package: "swift-collections")
let protobuf: Target.Dependency = .product(name: "SwiftProtobuf", package: "swift-protobuf")
let arguments: Target.Dependency = .product(name: "ArgumentParser", package: "swift-argument-parser")
let histogram: Target.Dependency = .product(name: "Histogram", package: "hdrhistogram-swift")

/// A C target that compiles sources of ours.
func cRoom(_ name: String, links libraries: [String] = []) -> Target {
    .target(
        name: name, path: "CSources/\(name)", cSettings: cSettings,
        linkerSettings: libraries.map { .linkedLibrary($0) })
}
/// A library of the system, seen through a module map.
func systemRoom(_ name: String, pkgConfig: String, apt: String) -> Target {
    .systemLibrary(name: name, path: "CSources/\(name)", pkgConfig: pkgConfig, providers: [.apt([apt])])
}
/// A Swift room.
func room(_ name: String, _ dependencies: [Target.Dependency]) -> Target {
    .target(name: name, dependencies: dependencies, path: "Sources/\(name)", swiftSettings: swiftSettings)
}
/// A thin program.
func frontend(_ name: String, _ dependencies: [Target.Dependency], path: String? = nil) -> Target {
    .executableTarget(
        name: name, dependencies: dependencies, path: path ?? "Frontends/\(name)", swiftSettings: swiftSettings)
}
/// The tests of one room.
func tests(_ room: String, _ dependencies: [Target.Dependency] = []) -> Target {
    .testTarget(
        name: "\(room)Tests", dependencies: [.byName(name: room), "FuzzSupport"] + dependencies,
        path: "Tests/\(room)Tests",
        swiftSettings: swiftSettings)
}

let cSources: [Target] = [
    cRoom("CMartlet", links: ["uring"]),
    cRoom("CMartletLinux"),
    cRoom("CMartletTLS", links: ["ssl", "crypto", "crypt"]),
    systemRoom("CSQLite", pkgConfig: "sqlite3", apt: "libsqlite3-dev"),
    systemRoom("CNGHTTP2", pkgConfig: "libnghttp2", apt: "libnghttp2-dev"),
    systemRoom("CZlib", pkgConfig: "zlib", apt: "zlib1g-dev"),
]
let foundations: [Target] = [
    room("MartletBase", [deques]),
    room("MartletObject", ["MartletBase", ordered]),
]
let decisions: [Target] = [
    room("MartletRaft", ["MartletBase", deques]),
    room("MartletStore", ["MartletBase", "MartletObject", deques]),
    room("MartletScheduler", ["MartletBase", "MartletObject"]),
    room("MartletControllers", ["MartletBase", "MartletObject"]),
    room("MartletPods", ["MartletBase", "MartletObject"]),
    room("MartletRoutes", ["MartletBase", "MartletObject"]),
]
let effects: [Target] = [
    room("MartletIO", ["MartletBase", "CMartlet", "CMartletLinux", log, deques]),
    room("MartletHTTP", ["MartletBase", "MartletIO", "CMartletTLS", "CNGHTTP2", "CZlib", httpTypes, log, deques]),
    room(
        "MartletRuntime",
        ["MartletBase", "MartletObject", "MartletIO", "MartletHTTP", "MartletCRI", "MartletCNI", protobuf, log]),
    .target(
        name: "MartletCRI", dependencies: [protobuf], path: "Sources/MartletCRI", exclude: ["runtime.proto"],
        swiftSettings: swiftSettings),
    room("MartletCNI", ["MartletBase", "MartletObject"]),
    .target(
        name: "MartletEtcdMessages", dependencies: [protobuf], path: "Sources/MartletEtcdMessages",
        exclude: ["kv.proto", "auth.proto", "rpc.proto", "v3lock.proto", "v3election.proto"],
        swiftSettings: swiftSettings),
]
let assembly: [Target] = [
    room(
        "MartletReplica",
        ["MartletBase", "MartletRaft", "MartletStore", "MartletIO", "MartletHTTP", "CSQLite", log, deques]),
    room(
        "MartletGateway",
        ["MartletBase", "MartletObject", "MartletStore", "MartletReplica", "MartletHTTP", httpTypes, log]),
    room(
        "MartletEtcd",
        [
            "MartletBase", "MartletStore", "MartletReplica", "MartletIO", "MartletHTTP", "MartletEtcdMessages",
            protobuf, httpTypes, deques, log,
        ]),
    room("MartletClient", ["MartletBase", "MartletObject", "MartletHTTP", httpTypes, log]),
    room(
        "MartletNode",
        [
            "MartletBase", "MartletObject", "MartletPods", "MartletIO", "MartletHTTP", "MartletRuntime",
            "MartletClient", "CMartletLinux", httpTypes, log,
        ]),
    room(
        "MartletNet",
        [
            "MartletBase", "MartletObject", "MartletRoutes", "MartletIO", "MartletHTTP", "MartletClient", httpTypes,
            log,
        ]),
    room("MartletPKI", ["MartletBase", "MartletObject", "MartletIO", "CMartletTLS"]),
    room("MartletEtcdClient", ["MartletBase", "MartletHTTP", "MartletEtcdMessages", protobuf]),
    room("MartletSimulation", ["MartletBase", deques]),
    room(
        "Martlet",
        [
            "MartletBase", "MartletObject", "MartletRaft", "MartletStore", "MartletScheduler", "MartletControllers",
            "MartletPods", "MartletRoutes", "MartletIO", "MartletHTTP", "MartletCNI", "MartletRuntime",
            "MartletReplica", "MartletGateway", "MartletClient", "MartletNode", "MartletNet", "MartletPKI", httpTypes,
            log,
        ]),
    room(
        "MartletReplicaSimulation",
        [
            "MartletBase", "MartletRaft", "MartletStore", "MartletIO", "MartletReplica", "MartletSimulation", log,
        ]),
    room("MartletTesting", ["Martlet", "MartletIO", "MartletSimulation"]),
]
let frontends: [Target] = [
    .target(
        name: "MartletFrontend",
        dependencies: [
            "Martlet", "MartletBase", "MartletIO", "MartletObject", "MartletPeerFlags", arguments, log,
        ],
        path: "Frontends/Shared", swiftSettings: swiftSettings),
    frontend(
        "martlet",
        [
            "Martlet", "MartletBase", "MartletFrontend", "MartletHTTP", "MartletIO", "MartletPKI", "MartletPeerFlags",
            arguments, httpTypes,
        ]),
    frontend("martletd", ["Martlet", "MartletFrontend", "MartletPeerFlags", arguments]),
    .target(
        name: "MartletPeerFlags",
        dependencies: [
            "MartletBase", "MartletObject", "MartletHTTP", "MartletIO", "MartletPKI", "MartletReplica", arguments,
        ],
        path: "Frontends/Peers", swiftSettings: swiftSettings),
    frontend("martlet-gateway", ["Martlet", "MartletFrontend", "MartletPeerFlags", arguments]),
    frontend(
        "martlet-store",
        [
            "MartletBase", "MartletEtcd", "MartletEtcdClient", "MartletEtcdMessages", "MartletHTTP", "MartletIO",
            "MartletPeerFlags", "MartletReplica", "MartletStore", arguments, log,
        ]),
    frontend("martlet-cni", ["MartletBase", "MartletCNI"]),
    frontend(
        "martlet-bench",
        [
            "Martlet", "MartletBase", "MartletIO", "MartletHTTP", "MartletObject", "MartletPKI", "MartletEtcdClient",
            "MartletEtcdMessages", "MartletClient", "MartletNet", "MartletRoutes", "MartletSimulation", arguments,
            histogram, httpTypes, log,
        ]),
    frontend(
        "martlet-simulate",
        ["MartletBase", "MartletIO", "MartletSimulation", "MartletReplicaSimulation", arguments]),
    frontend("embedded-cluster", ["Martlet"], path: "docs/examples/embedded-cluster"),
]
let testRooms: [Target] = [
    .target(name: "FuzzSupport", path: "Tests/FuzzSupport", swiftSettings: swiftSettings),
    tests("MartletBase"),
    tests("MartletObject", ["MartletBase"]),
    tests("MartletRaft", ["MartletBase"]),
    tests("MartletStore", ["MartletBase", "MartletObject"]),
    tests("MartletScheduler", ["MartletBase", "MartletObject"]),
    tests("MartletControllers", ["MartletBase", "MartletObject"]),
    tests("MartletPods", ["MartletBase", "MartletObject"]),
    tests("MartletRoutes", ["MartletBase", "MartletObject"]),
    tests("MartletIO", ["MartletBase", "CMartlet"]),
    tests("MartletHTTP", ["MartletBase", "MartletIO", "MartletPKI", "CZlib", httpTypes]),
    tests("MartletRuntime", ["MartletBase", "MartletIO", "MartletCRI", "MartletCNI", "MartletObject"]),
    tests(
        "MartletReplica",
        ["MartletBase", "MartletRaft", "MartletIO", "MartletStore", "MartletHTTP", "MartletPKI", log]),
    tests(
        "MartletGateway",
        [
            "MartletBase", "MartletObject", "MartletIO", "MartletHTTP", "MartletReplica", "MartletStore", "MartletPKI",
            httpTypes,
        ]),
    tests(
        "MartletEtcd",
        [
            "MartletBase", "MartletIO", "MartletHTTP", "MartletReplica", "MartletStore", "MartletEtcdMessages",
            protobuf, log,
        ]),
    tests(
        "MartletClient", ["MartletBase", "MartletObject", "MartletIO", "MartletHTTP", httpTypes, log]),
    tests(
        "MartletNode",
        [
            "MartletBase", "MartletObject", "MartletIO", "MartletPods", "MartletRuntime", "MartletClient",
            "MartletHTTP", httpTypes, log,
        ]),
    tests(
        "MartletNet",
        [
            "MartletBase", "MartletObject", "MartletIO", "MartletHTTP", "MartletRoutes", "MartletPKI", "MartletClient",
            "MartletSimulation", httpTypes, log,
        ]),
    tests("MartletPKI", ["MartletBase", "MartletIO"]),
    tests("MartletSimulation", ["MartletBase"]),
    tests("MartletReplicaSimulation", ["MartletSimulation", "MartletRaft", "MartletStore"]),
    tests("Martlet", ["MartletTesting", "MartletBase", "MartletIO", "MartletHTTP", "MartletPKI", httpTypes]),
    tests("MartletFrontend", ["Martlet", arguments]),
    .testTarget(name: "TidyTests", path: "Tests/TidyTests", swiftSettings: swiftSettings),
]

/// `MARTLET_ROOMS="MartletRaftTests ..."` builds only these targets and what they stand on: quick turns in one room.
func selected(_ targets: [Target]) -> [Target] {
    guard let wanted = Context.environment["MARTLET_ROOMS"], !wanted.isEmpty else { return targets }
    let byName = Dictionary(uniqueKeysWithValues: targets.map { ($0.name, $0) })
    var queue = wanted.split(separator: " ").map(String.init)
    var keep: Set<String> = []
    while let name = queue.popLast() {
        guard let target = byName[name], keep.insert(name).inserted else { continue }
        for dependency in target.dependencies {
            switch dependency {
            case .byNameItem(let name, _), .targetItem(let name, _): queue.append(name)
            default: continue
            }
        }
    }
    return targets.filter { keep.contains($0.name) }
}

let targets = selected(cSources + foundations + decisions + effects + assembly + frontends + testRooms)
let has: (String) -> Bool = { name in targets.contains { $0.name == name } }

let programs = [
    "martlet", "martletd", "martlet-gateway", "martlet-store", "martlet-cni", "martlet-bench", "martlet-simulate",
]

let package = Package(
    name: "martlet",
    products: ["Martlet", "MartletTesting"].filter(has).map { .library(name: $0, targets: [$0]) }
        + programs.filter(has).map { .executable(name: $0, targets: [$0]) },
    dependencies: [
        .package(url: "https://github.com/apple/swift-argument-parser", exact: "1.8.2"),
        .package(url: "https://github.com/apple/swift-log", exact: "1.16.2"),
        .package(url: "https://github.com/apple/swift-http-types", exact: "1.8.0", traits: []),
        .package(url: "https://github.com/apple/swift-collections", exact: "1.6.0"),
        .package(url: "https://github.com/apple/swift-protobuf", exact: "1.39.0"),
        .package(url: "https://github.com/HdrHistogram/hdrhistogram-swift", exact: "0.2.0"),
    ],
    targets: targets
)
