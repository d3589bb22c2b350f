import HTTPTypes
import MartletBase
import MartletHTTP
import MartletRuntime
import Testing

@testable import MartletNode

@Suite("Streams of the kubelet's API")
struct StreamTests {
    private static func wish(_ path: String) -> StreamWish? {
        let parts = path.split(separator: "?", maxSplits: 1)
        return StreamWish(parts[0].split(separator: "/").map(String.init), Query(parts.count > 1 ? parts[1] : ""))
    }

    @Test("Path and query say what is wanted")
    func wishes() {
        let exec = Self.wish("/exec/ns/p/web?command=sh&command=-c&command=a%20b&input=1&output=1&error=1")
        #expect(
            exec?.kind == .exec(command: ["sh", "-c", "a b"], RemoteStreams(stdin: true, stdout: true, stderr: true)))
        #expect(exec?.namespace == "ns" && exec?.pod == "p" && exec?.container == "web" && exec?.uid == "")
        #expect(exec?.fault == nil)
        let terminal = Self.wish("/exec/ns/p/u1/web?command=sh&output=1&error=1&tty=1")
        #expect(terminal?.kind == .exec(command: ["sh"], RemoteStreams(stdout: true, tty: true)))
        #expect(terminal?.uid == "u1")
        #expect(Self.wish("/portForward/ns/p?port=80,443")?.kind == .portForward(ports: [80, 443]))
        #expect(Self.wish("/portForward/ns/p")?.fault == nil)
        #expect(Self.wish("/run/ns/p/web?cmd=echo%20a")?.kind == .run(command: ["echo", "a"]))
        for path in ["/exec/ns/p", "/exec/ns/p/u/c/x", "/portForward/ns", "/portForward/a/b/c/d", "/x/ns/p/c"] {
            #expect(Self.wish(path) == nil, "\(path)")
        }
    }

    @Test(
        "What makes no sense is named",
        arguments: [
            ("/exec/ns/p/c?output=1", "you must specify a command"),
            ("/exec/ns/p/c?command=a", "you must specify at least 1 of stdin, stdout, stderr"),
            ("/attach/ns/p/c?error=1&tty=1", "you must specify at least 1 of stdin, stdout, stderr"),
            ("/portForward/ns/p?port=0", "\"port\""), ("/run/ns/p/c", "\"cmd\""),
        ])
    func faults(path: String, text: String) {
        #expect(Self.wish(path)?.fault?.contains(text) == true)
    }

    @Test("The caller's protocol decides the way to the runtime")
    func routes() {
        func route(_ protocols: [String], _ kind: StreamWish.Kind = .attach(RemoteStreams(stdout: true))) -> StreamRoute
        {
            StreamRoute(
                WebSocketHandshake.request(path: "/", authority: "n", protocols: protocols, key: []), kind)
        }
        #expect(route(["v4.channel.k8s.io"]) == .passed)
        #expect(route([]) == .passed)
        #expect(route(["v4.channel.k8s.io", "v5.channel.k8s.io"]) == .translated)
        #expect(route(["SPDY/3.1+portforward.k8s.io"], .portForward(ports: [])) == .tunnelled)
        #expect(route(["v4.channel.k8s.io"], .portForward(ports: [80])) == .passed)
        var spdy = HTTPRequest(method: .post, scheme: "https", authority: "n", path: "/")
        #expect(StreamRoute(spdy, .attach(RemoteStreams())) == .refused("Upgrade request required"))
        spdy.headerFields[.upgrade] = "SPDY/3.1"
        #expect(StreamRoute(spdy, .attach(RemoteStreams())) == .passed)
    }

    @Test("The channels of a command are opened in the order of their SPDY numbers, or the runtime refuses them")
    func channels() {
        let all = RemoteChannel.all(of: RemoteStreams(stdin: true, stdout: true, stderr: false, tty: true))
        #expect(all == [.stdin, .stdout, .error, .resize])
        #expect(all.map(\.stream) == all.map(\.stream).sorted())
        #expect(all.allSatisfy { RemoteChannel(stream: $0.stream) == $0 })
        #expect(RemoteChannel.all(of: RemoteStreams(stdout: true, stderr: true)) == [.stdout, .stderr, .error])
        #expect(RemoteChannel(stream: 2) == nil)
    }

    @Test("A caller's messages become frames of their channels")
    func inlet() {
        var inlet = ChannelInlet([.error, .stdin, .stdout])
        #expect(inlet.take([0, 65, 66], isFirst: true) == .data(stream: 1, [65, 66], isLast: false))
        #expect(inlet.take([67], isFirst: false) == .data(stream: 1, [67], isLast: false))
        #expect(inlet.take([0], isFirst: true) == nil)
        #expect(inlet.take([1, 65], isFirst: true) == nil, "the output is not the caller's to write")
        #expect(inlet.take([4, 65], isFirst: true) == nil, "there is no terminal")
        #expect(inlet.take([9, 65], isFirst: true) == nil)
        #expect(inlet.take([65], isFirst: false) == nil)
        #expect(inlet.take([], isFirst: true) == nil)
        #expect(inlet.take([255, 1], isFirst: true) == nil)
        #expect(inlet.take([255], isFirst: true) == nil, "the channel is still to come")
        #expect(inlet.take([0], isFirst: false) == .data(stream: 1, [], isLast: true))
        #expect(inlet.take([255, 0], isFirst: true) == nil, "it has ended already")
        #expect(inlet.take([0, 65], isFirst: true) == nil)
    }

    @Test("There are only so many places, and each is given back")
    func places() {
        let places = StreamPlaces(limit: 2)
        var one = places.take()
        let two = places.take()
        #expect(places.take() == nil && places.count == 2)
        one = nil
        #expect(places.count == 1)
        one = places.take()
        #expect(one != nil)
        withExtendedLifetime((one, two)) {}
    }
}
