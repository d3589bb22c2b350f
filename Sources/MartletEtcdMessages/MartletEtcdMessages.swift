// etcd's v3 API: the `.proto` files hold the part that is used, `Generated` the Swift made from them.
