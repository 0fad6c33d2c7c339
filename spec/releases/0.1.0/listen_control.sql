-- listen_control: 'cancel ID' and other wishes of people.
listen jobq_control
