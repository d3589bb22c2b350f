import MartletBase
import Testing

@testable import MartletStore

@Suite struct Rules {
    /// Root, and a user `bot` with the role `keeper`; rules are on.
    private func story(_ permissions: [Permission]) throws -> Telling {
        var story = Telling()
        var commands: [AuthCommand] = [
            .addUser(name: "root", passwordHash: [1]), .grantRole(user: "root", role: "root"),
            .addUser(name: "bot", passwordHash: nil), .addRole(name: "keeper"), .grantRole(user: "bot", role: "keeper"),
        ]
        commands += permissions.map { .grantPermission(role: "keeper", $0) }
        for command in commands + [.enable] { #expect(try story.tell(.auth(command)).refusal == nil) }
        return story
    }

    @Test func allowWhatAUsersRolesAllowTakenTogether() throws {
        let story = try story([
            Permission(.read, KeyRange(from: key("a"), to: key("c"))),
            Permission(.readWrite, KeyRange(from: key("c"), to: key("e"))), Permission(.write, KeyRange(key: key("k"))),
            Permission(.readWrite, KeyRange(from: key("x"), to: [])),
            Permission(.readWrite, KeyRange(from: key("n"), to: key("m"))),
        ])
        let auth = story.store.auth
        func may(_ access: AuthState.Access, _ from: String, _ to: String?) -> Bool {
            auth.check(
                user: "bot", range: to.map { KeyRange(from: key(from), to: key($0)) } ?? KeyRange(key: key(from)),
                access)
        }
        #expect(may(.read, "b", nil) && !may(.write, "b", nil) && may(.read, "a", "e") && may(.read, "b", "d"))
        #expect(!may(.read, "a", "ea") && !may(.read, "Z", "b") && may(.write, "c", "e") && !may(.write, "b", "d"))
        #expect(may(.write, "k", nil) && !may(.read, "k", nil) && !may(.write, "k", "kb"))
        #expect(may(.write, "x", "") && may(.read, "y", "zz") && !may(.read, "w", "") && !may(.read, "n", nil))
        #expect(auth.check(user: "root", range: .all, .write) && !auth.check(user: "nobody", range: .all, .read))
        #expect(auth.isAdministrator("root") && !auth.isAdministrator("bot") && !auth.isAdministrator("nobody"))
        #expect(auth.permissions(ofRole: "keeper")?.count == 5 && auth.permissions(ofRole: "other") == nil)
    }

    @Test func areNotSwitchedOnWithoutRootAndThenRootCannotLoseIt() throws {
        var story = Telling()
        func refusal(_ command: AuthCommand) throws -> CommandRefusal? { try story.tell(.auth(command)).refusal }
        #expect(try refusal(.enable) == .rootUserMissing)
        #expect(try refusal(.addUser(name: "root", passwordHash: [1])) == nil && refusal(.enable) == .rootRoleMissing)
        #expect(try refusal(.grantRole(user: "root", role: "root")) == nil && refusal(.addRole(name: "root")) == nil)
        #expect(story.store.auth.check(user: "anybody", range: .all, .write), "rules are off")
        #expect(try refusal(.enable) == nil && refusal(.enable) == nil)
        #expect(story.store.auth.permissions(ofRole: "root") == [Permission(.readWrite, .all)])
        #expect(try refusal(.deleteUser(name: "root")) == .rootIsNeeded)
        #expect(try refusal(.revokeRole(user: "root", role: "root")) == .rootIsNeeded)
        #expect(try refusal(.deleteRole(name: "root")) == .rootIsNeeded)
        #expect(try refusal(.disable) == nil && refusal(.deleteUser(name: "root")) == nil)
    }

    @Test func nameWhatIsWrongWithAChange() throws {
        var story = Telling()
        func refusal(_ command: AuthCommand) throws -> CommandRefusal? { try story.tell(.auth(command)).refusal }
        let permission = Permission(.read, KeyRange(key: [1]))
        #expect(try refusal(.addUser(name: "", passwordHash: [1])) == .userEmpty)
        #expect(try refusal(.addUser(name: "u", passwordHash: [1])) == nil)
        #expect(try refusal(.addUser(name: "u", passwordHash: [1])) == .userExists)
        #expect(try refusal(.deleteUser(name: "v")) == .userNotFound)
        #expect(try refusal(.changePassword(name: "v", passwordHash: [1])) == .userNotFound)
        #expect(try refusal(.changePassword(name: "u", passwordHash: [])) == .passwordMissing)
        #expect(try refusal(.grantRole(user: "v", role: "r")) == .userNotFound)
        #expect(try refusal(.grantRole(user: "u", role: "r")) == .roleNotFound)
        #expect(try refusal(.revokeRole(user: "u", role: "r")) == .roleNotGranted)
        #expect(try refusal(.addRole(name: "")) == .roleEmpty)
        #expect(try refusal(.addRole(name: "r")) == nil && refusal(.addRole(name: "r")) == .roleExists)
        #expect(try refusal(.deleteRole(name: "s")) == .roleNotFound)
        #expect(try refusal(.grantPermission(role: "s", permission)) == .roleNotFound)
        #expect(try refusal(.revokePermission(role: "r", permission.range)) == .permissionNotGranted)
        #expect(try refusal(.grantPermission(role: "r", permission)) == nil)
        #expect(try refusal(.grantPermission(role: "r", Permission(.write, permission.range))) == nil)
        #expect(story.store.auth.roles["r"]?.permissions == [Permission(.write, permission.range)])
        #expect(try refusal(.grantRole(user: "u", role: "r")) == nil)
        let revision = story.store.auth.revision
        #expect(try refusal(.grantRole(user: "u", role: "r")) == nil)
        #expect(story.store.auth.revision == revision, "it had the role already")
        #expect(try refusal(.deleteRole(name: "r")) == nil)
        #expect(story.store.auth.users["u"]?.roles == [] && story.store.auth.revision == revision + 1)
        #expect(story.store.revision == 1, "rules have no part in the revisions of keys")
    }

    @Test func refuseWhatWasAllowedBeforeTheyChanged() throws {
        var story = try story([])
        let allowed = story.store.auth.revision
        let put = Command.Kind.transaction(Transaction(then: [.put(Put([1], []))]))
        #expect(try story.tell(put, authRevision: allowed).refusal == nil)
        try story.tell(.auth(.addUser(name: "other", passwordHash: nil)))
        #expect(try story.tell(put, authRevision: allowed).refusal == .authRevisionChanged)
        #expect(try story.tell(put).refusal == nil, "what the cluster itself proposes is not judged")
        try story.tell(.auth(.disable))
        #expect(try story.tell(put, authRevision: allowed).refusal == nil)
        // What was allowed while rules were off is not when they are on.
        let free = story.store.auth.revision
        try story.tell(.auth(.enable))
        #expect(try story.tell(put, authRevision: free).refusal == .authRevisionChanged)
    }
}

@Suite struct TheDirectoryOfMembers {
    @Test func knowsWhoJoinedMovedAndLeft() throws {
        var story = Telling()
        func refusal(_ command: MemberCommand) throws -> CommandRefusal? { try story.tell(.member(command)).refusal }
        let first = MemberInfo(id: 1, name: "a", peerURLs: ["https://a"])
        #expect(try refusal(.genesis(clusterID: 7, members: [first])) == nil && story.store.clusterID == 7)
        #expect(try refusal(.genesis(clusterID: 8, members: [])) == .alreadyBegun)
        let second = MemberInfo(id: 2, peerURLs: ["https://b"], isLearner: true)
        #expect(try refusal(.add(second)) == nil && refusal(.add(second)) == .memberExists)
        #expect(try refusal(.add(MemberInfo(id: 3, peerURLs: ["https://b"]))) == .peerURLExists)
        #expect(try refusal(.update(id: 2, peerURLs: ["https://a"])) == .peerURLExists)
        #expect(try refusal(.update(id: 2, peerURLs: ["https://b", "https://c"])) == nil)
        #expect(try refusal(.describe(id: 2, name: "b", clientURLs: ["https://b:2379"])) == nil)
        #expect(try refusal(.promote(id: 1)) == .memberNotLearner && refusal(.promote(id: 2)) == nil)
        #expect(
            story.store.members[2]
                == MemberInfo(id: 2, name: "b", peerURLs: ["https://b", "https://c"], clientURLs: ["https://b:2379"]))
        #expect(try refusal(.remove(id: 1)) == nil && refusal(.remove(id: 1)) == .memberNotFound)
        #expect(
            try refusal(.promote(id: 9)) == .memberNotFound && refusal(.update(id: 9, peerURLs: [])) == .memberNotFound)
        #expect(try refusal(.describe(id: 9, name: "", clientURLs: [])) == .memberNotFound)
        #expect(
            try refusal(.replace([first])) == nil && story.store.members == [1: first] && story.store.clusterID == 7)
    }

    @Test func isToldByEntriesThatChangeTheMembershipToo() throws {
        var store = Store(historyLimit: 5)
        let member = MemberInfo(id: 4, peerURLs: ["https://d"])
        let applied = try store.apply(index: 1, membership: MemberCommand.add(member).encoded())
        #expect(applied.result == .success(.done(revision: 1)) && store.members == [4: member])
        #expect(try store.apply(index: 2, membership: []).result == .success(.done(revision: 1)))
        #expect(throws: ByteCodecError.self) { try store.apply(index: 3, membership: [1, 99]) }
        #expect(store.appliedIndex == 2)
    }
}
