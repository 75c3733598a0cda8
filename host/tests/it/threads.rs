//! What an embedder's threads may do: every type goes to another one, and so does every future. That it compiles is the
//! test.

use portcullis_host::protocol::wire::PaymentMethod;
use portcullis_host::protocol::{Offer, OperationName, Origin, PublisherName, ResourceName, SecretKey, Verified};
use portcullis_host::{
    Authorised, Client, Command, Cycle, InstallSource, Installed, Library, Publishing, Resource, Runtime, SignIn,
    Storefront, blocking,
};

fn send<T: Send>(_: T) {}
fn shared<T: Send + Sync + 'static>() {}

#[test]
fn every_type_is_shared_between_threads() {
    shared::<Client>();
    shared::<Cycle>();
    shared::<Library>();
    shared::<Publishing>();
    shared::<Storefront>();
    shared::<SignIn>();
    shared::<Runtime>();
    shared::<Resource>();
    shared::<Authorised>();
    shared::<blocking::Runtime>();
}

/// Never called: it makes every future of the interface and hands it to a thread.
#[expect(dead_code, reason = "what is tested is that it compiles")]
fn every_future_goes_to_another_thread(
    (client, library, store, publishing): (&Client, &Library, &Storefront, &Publishing),
    (resource, authorised, sign_in): (&Resource, &Authorised, SignIn),
    (origin, publisher, name, operation): (&Origin, &PublisherName, &ResourceName, &OperationName),
    key: &SecretKey,
    (offer, payment, installed, source): (&Verified<Offer>, PaymentMethod, &Installed, &InstallSource),
) {
    use portcullis_host::Gatekeeper as _;
    send(client.sign_in(origin, "label"));
    send(sign_in.finish());
    send(client.sign_out(origin));
    send(client.forget(origin));
    send(client.settle(std::time::Duration::ZERO));
    send(library.install(source, &|_, _| {}));
    send(library.prepare(source, false, &|_, _| {}));
    send(library.newer(installed));
    send(library.update(installed, &|_, _| {}));
    send(library.remove(installed));
    send(store.search("", None, None));
    send(store.entry(publisher, name));
    send(store.order(offer, payment));
    send(store.account());
    send(store.entitlements());
    send(store.receipts());
    send(publishing.claim(publisher, key));
    send(publishing.publish(&installed.path));
    send(client.cycle().offers(resource.signed(), operation));
    send(resource.authorize("view"));
    send(resource.run(Command::default()));
    send(authorised.call("view", &[]));
    send(authorised.call_for_bytes("view", &[]));
    send(authorised.call_typed::<(u32,), (u32,)>("view", (1,)));
    send(authorised.run(Command::default()));
    send(authorised.reset());
}
