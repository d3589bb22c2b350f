// `import Martlet` is all that a program needs: the client, objects and the world come with it.
@_exported public import Logging
@_exported public import MartletBase
@_exported public import MartletClient
@_exported public import MartletObject
@_exported public import MartletReplica
@_exported public import MartletRuntime
