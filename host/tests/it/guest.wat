(module
  (import "portcullis:gate/billing@0.1.0" "request" (func $request (param i32 i32 i32 i32 i32 i32)))
  (import "portcullis:gate/billing@0.1.0" "entry" (func $entry (result i32)))
  (import "portcullis:gate/billing@0.1.0" "[static]status-code.verify" (func $verify (param i32 i32)))
  (import "portcullis:gate/billing@0.1.0" "[method]grant.operation" (func $operation (param i32 i32)))
  (import "portcullis:gate/billing@0.1.0" "[method]grant.document" (func $document (param i32 i32)))
  (import "portcullis:gate/billing@0.1.0" "[resource-drop]grant" (func $drop_grant (param i32)))
  (import "portcullis:gate/billing@0.1.0" "[resource-drop]status-code" (func $drop_code (param i32)))
  (import "portcullis:gate/vault@0.1.0" "open" (func $open (param i32 i32 i32 i32)))
  (import "portcullis:gate/vault@0.1.0" "[method]part.read" (func $part_read (param i32 i64 i32 i32)))
  (import "portcullis:gate/vault@0.1.0" "[resource-drop]part" (func $drop_part (param i32)))

  (memory (export "memory") 2)
  (global $top (mut i32) (i32.const 1024))
  (global $calls (mut i32) (i32.const 0))
  ;; 0: return area, 64: answer of a host function, 512: a secret that must be printed nowhere
  (data (i32.const 512) "PLAINTEXT-OF-A-PAID-BODY")

  ;; A heap that only grows: calls are few.
  (func $realloc (export "cabi_realloc") (param i32 i32 i32 i32) (result i32)
    (local $at i32)
    (local.set $at (i32.and (i32.add (global.get $top) (i32.const 15)) (i32.const -16)))
    (global.set $top (i32.add (local.get $at) (local.get 3)))
    (block $fits
      (loop $more
        (br_if $fits (i32.le_u (global.get $top) (i32.mul (memory.size) (i32.const 65536))))
        (if (i32.eq (memory.grow (i32.const 16)) (i32.const -1)) (then unreachable))
        (br $more)))
    (local.get $at))

  (func (export "test:guest/api@1.0.0#add") (param i32 i32) (result i32)
    (i32.add (local.get 0) (local.get 1)))

  (func $list (param i32 i32) (result i32)
    (i32.store (i32.const 0) (local.get 0))
    (i32.store (i32.const 4) (local.get 1))
    (i32.const 0))

  (func (export "test:guest/api@1.0.0#echo") (param i32 i32) (result i32)
    (call $list (local.get 0) (local.get 1)))

  (func (export "test:guest/api@1.0.0#greet") (param i32 i32) (result i32)
    (i32.store (i32.const 0) (i32.eqz (local.get 1)))
    (i32.store (i32.const 4) (local.get 0))
    (i32.store (i32.const 8) (local.get 1))
    (i32.const 0))

  (func (export "test:guest/api@1.0.0#count") (result i32)
    (global.set $calls (i32.add (global.get $calls) (i32.const 1)))
    (global.get $calls))

  (func (export "test:guest/api@1.0.0#fail") unreachable)
  (func $spin (export "test:guest/api@1.0.0#spin") (loop $again (br $again)))
  (func (export "test:guest/api@1.0.0#grow")
    (loop $again (drop (memory.grow (i32.const 16))) (br $again)))
  (func $recurse (export "test:guest/api@1.0.0#recurse") (call $recurse) (call $recurse))
  (func (export "test:guest/api@1.0.0#flood")
    (loop $again
      (call $request (i32.const 512) (i32.const 4) (i32.const 1) (i32.const 0) (i32.const 0) (i32.const 64))
      (br $again)))
  (func (export "test:guest/api@1.0.0#leak") (loop $again (drop (call $entry)) (br $again)))

  (func (export "test:guest/api@1.0.0#big") (param i32) (result i32)
    (call $list (call $realloc (i32.const 0) (i32.const 0) (i32.const 1) (local.get 0)) (local.get 0)))
  (func (export "test:guest/api@1.0.0#numbers") (param i32) (result i32)
    (call $list
      (call $realloc (i32.const 0) (i32.const 0) (i32.const 4) (i32.mul (local.get 0) (i32.const 4)))
      (local.get 0)))

  ;; Requests and verifies: a grant, or 0 with $no set.
  (global $no (mut i32) (i32.const 0))
  (func $cycle (param $op i32) (param $len i32) (param $quantity i32) (param $nonce i32) (param $nonce_len i32) (result i32)
    (call $request (local.get $op) (local.get $len) (local.get $quantity) (local.get $nonce) (local.get $nonce_len)
      (i32.const 64))
    (if (i32.load8_u (i32.const 64))
      (then
        (global.set $no (i32.add (i32.const 100) (i32.load8_u (i32.const 68))))
        (return (i32.const 0))))
    (call $verify (i32.load (i32.const 68)) (i32.const 64))
    (if (i32.load8_u (i32.const 64))
      (then
        (global.set $no (i32.add (i32.const 200) (i32.load8_u (i32.const 68))))
        (return (i32.const 0))))
    (i32.load (i32.const 68)))

  (func (export "test:guest/api@1.0.0#ask") (param i32 i32 i32 i32 i32) (result i32)
    (local $grant i32)
    (local.set $grant (call $cycle (local.get 0) (local.get 1) (local.get 2) (local.get 3) (local.get 4)))
    (if (i32.eqz (local.get $grant)) (then (return (global.get $no))))
    (call $drop_grant (local.get $grant))
    (i32.const 0))

  (func (export "test:guest/api@1.0.0#nag") (param i32 i32 i32) (result i32)
    (local $refused i32)
    (loop $again
      (call $request (local.get 0) (local.get 1) (i32.const 1) (i32.const 0) (i32.const 0) (i32.const 64))
      (if (i32.load8_u (i32.const 64))
        (then (local.set $refused (i32.add (local.get $refused) (i32.const 1))))
        (else (call $drop_code (i32.load (i32.const 68)))))
      (local.set 2 (i32.sub (local.get 2) (i32.const 1)))
      (br_if $again (local.get 2)))
    (local.get $refused))

  ;; result<list<u8>, u32> in the return area.
  (func $no_bytes (param i32) (result i32)
    (i32.store (i32.const 0) (i32.const 1))
    (i32.store (i32.const 4) (local.get 0))
    (i32.const 0))

  (func $read_part (param $grant i32) (param $drop i32) (param $name i32) (param $len i32) (param $offset i64) (param $length i32) (result i32)
    (local $part i32)
    (call $open (local.get $grant) (local.get $name) (local.get $len) (i32.const 64))
    (if (i32.load8_u (i32.const 64))
      (then (return (call $no_bytes (i32.load8_u (i32.const 68))))))
    (local.set $part (i32.load (i32.const 68)))
    (if (local.get $drop) (then (call $drop_grant (local.get $grant))))
    (call $part_read (local.get $part) (local.get $offset) (local.get $length) (i32.const 64))
    (call $drop_part (local.get $part))
    (if (i32.load8_u (i32.const 64))
      (then (return (call $no_bytes (i32.add (i32.const 10) (i32.load8_u (i32.const 68)))))))
    (i32.store (i32.const 0) (i32.const 0))
    (i32.store (i32.const 4) (i32.load (i32.const 68)))
    (i32.store (i32.const 8) (i32.load (i32.const 72)))
    (i32.const 0))

  (func (export "test:guest/api@1.0.0#take") (param i32 i32 i32 i32 i64 i32 i32) (result i32)
    (local $grant i32)
    (local.set $grant (call $cycle (local.get 0) (local.get 1) (i32.const 1) (i32.const 0) (i32.const 0)))
    (if (i32.eqz (local.get $grant)) (then (return (call $no_bytes (global.get $no)))))
    (call $read_part (local.get $grant) (local.get 6) (local.get 2) (local.get 3) (local.get 4) (local.get 5)))

  (func (export "test:guest/api@1.0.0#read") (param i32 i32 i64 i32) (result i32)
    (call $read_part (call $entry) (i32.const 0) (local.get 0) (local.get 1) (local.get 2) (local.get 3)))

  (func (export "test:guest/api@1.0.0#entry") (result i32)
    (local $grant i32)
    (local.set $grant (call $entry))
    (call $operation (local.get $grant) (i32.const 64))
    (i32.store (i32.const 0) (i32.load (i32.const 68)))
    (call $document (local.get $grant) (i32.const 64))
    (i32.store (i32.const 4) (i32.load (i32.const 68)))
    (call $drop_grant (local.get $grant))
    (i32.const 0))

  (func (export "test:guest/api@1.0.0#other") (result i32) (i32.const 7))
  (func (export "test:guest/api@1.0.0#hidden") (result i32) (i32.const 8))
)
