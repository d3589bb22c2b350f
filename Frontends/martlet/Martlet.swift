import ArgumentParser

/// `martlet`: the command line of a cluster.
@main
struct MartletCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "martlet",
        abstract: "Talks to a Martlet cluster, and prepares images for it.",
        discussion: """
            For everything else use kubectl with the kubeconfig that martletd writes. These few commands serve where \
            there is no kubectl.
            """,
        subcommands: [Apply.self, Get.self, Delete.self, Image.self])
}
