#![no_main]

portcullis_mail_fuzz::target!("imap");
