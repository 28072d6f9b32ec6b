"""Parties that host their four folders themselves: on their SFTP server, or in a folder of this machine."""
