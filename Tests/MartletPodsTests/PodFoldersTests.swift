import MartletObject
import Testing

@testable import MartletPods

@Suite("Folders of pods")
struct PodFoldersTests {
    @Test("A name from outside is one component of a path and never leads out")
    func components() {
        #expect(PodFolders.component("a-1") == "a-1")
        #expect(PodFolders.component("../x") == ".._x")
        #expect(
            PodFolders.component("..") == "_" && PodFolders.component(".") == "_" && PodFolders.component("") == "_")
        #expect(PodFolders.component("a\0b") == "a_b")
        let pod = PodFolders(namespace: "ns", name: "p", uid: "u/1")
        #expect(pod.volumes == "u_1" && pod.logs == "ns_p_u_1")
    }

    @Test("Folders of no pod are orphans, those of a pod are not, and a namesake of a living pod is another pod")
    func orphans() {
        let listing = FolderListing(volumes: ["u1", "u2", "u3"], logs: ["ns_p_u1", "ns_p_u2", "junk"])
        let living = [
            PodFolders(namespace: "ns", name: "p", uid: "u2"), PodFolders(namespace: "ns", name: "q", uid: "u3"),
        ]
        let orphans = listing.orphans(besides: living)
        #expect(orphans == FolderListing(volumes: ["u1"], logs: ["ns_p_u1", "junk"]))
        #expect(listing.orphans(besides: []) == listing)
        #expect(FolderListing().orphans(besides: living).isEmpty)
    }
}
