import ArgumentParser
import Martlet

/// `martlet apply`
struct Apply: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Creates the objects of a manifest, or changes those there are to match it.")

    @OptionGroup var connection: ConnectionOptions
    @Option(name: [.customShort("f"), .customLong("filename")], help: "A manifest; - for standard input.")
    var files: [String]

    func run() async throws {
        let objects = try files.flatMap(Manifest.read)
        try await connection.withClient { client, _ in
            for object in objects {
                let (kind, object) = try await Manifest.placed(object, by: client)
                _ = try await client.apply(kind, object)
                print("\(kind.singular).\(kind.group)/\(object.name) applied".replacing("./", with: "/"))
            }
        }
    }
}

/// `martlet get`
struct Get: AsyncParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Shows objects.")

    @OptionGroup var connection: ConnectionOptions
    @Argument(help: "A kind, in any of its names: pods, po, deployment.") var kind: String
    @Argument(help: "An object's name; without it all are shown.") var name: String?
    @Option(name: .shortAndLong, help: "The namespace; \"\" for all.") var namespace = "default"
    @Option(name: .shortAndLong, help: "The form: name or json.") var output = "name"
    @Option(name: [.customShort("l"), .customLong("selector")], help: "A label selector.") var selector: String?

    func run() async throws {
        let (wanted, name, namespace, selector, output) = (kind, self.name, self.namespace, self.selector, self.output)
        try await connection.withClient { client, _ in
            guard let known = try await client.kind(called: wanted) else {
                throw ValidationError("the server doesn't have a resource type \"\(wanted)\"")
            }
            let items: [JSON]
            if let name {
                items = [try await client.get(known, namespace: known.isNamespaced ? namespace : "", name: name)]
            } else {
                items = try await client.list(
                    known, namespace: namespace.isEmpty ? nil : namespace, labelSelector: selector
                ).items
            }
            for item in items {
                let json = String(decoding: item.encoded(), as: UTF8.self)
                print(output == "json" ? json : "\(known.singular)/\(item.name)")
            }
        }
    }
}

/// `martlet delete`
struct Delete: AsyncParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Deletes the objects of a manifest.")

    @OptionGroup var connection: ConnectionOptions
    @Option(name: [.customShort("f"), .customLong("filename")], help: "A manifest; - for standard input.")
    var files: [String]

    func run() async throws {
        let objects = try files.flatMap(Manifest.read)
        try await connection.withClient { client, _ in
            for object in objects {
                let (kind, object) = try await Manifest.placed(object, by: client)
                do {
                    try await client.delete(kind, namespace: object.namespace, name: object.name)
                    print("\(kind.singular)/\(object.name) deleted")
                } catch let error as APIError where error.isNotFound {
                    print("\(kind.singular)/\(object.name) not found")
                }
            }
        }
    }
}
