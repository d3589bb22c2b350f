import ArgumentParser

/// `martlet`: the command line of a cluster.
@main
struct MartletCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "martlet",
        abstract: "Makes clusters of machines, looks after them, and talks to them.",
        discussion: """
            For everything else use kubectl with the kubeconfig that martletd writes; apply, get and delete serve \
            where there is no kubectl.
            """,
        subcommands: [
            Init.self, Join.self, Token.self, Member.self, Status.self, Reset.self, PKI.self, User.self, Apply.self,
            Get.self, Delete.self, Image.self,
        ])
}
